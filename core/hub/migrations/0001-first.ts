/** @file Version 1 of a hub's database. */

import { LEDGER_TABLES } from '../../federation/ledger.ts';

export const first = `
  ${LEDGER_TABLES}

  CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

  -- The secret is deleted once the invitation is used or has expired.
  CREATE TABLE invitation (
    id BLOB PRIMARY KEY,
    secret BLOB,
    site TEXT,
    expires INTEGER NOT NULL,
    used_by BLOB
  ) STRICT;

  CREATE TABLE member (
    site TEXT PRIMARY KEY,
    x25519 BLOB NOT NULL UNIQUE,
    ed25519 BLOB NOT NULL,
    joined INTEGER NOT NULL,
    revoked INTEGER
  ) STRICT;

  CREATE TABLE run (
    id TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    plan TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    configuration TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('proposed', 'running', 'completed', 'failed', 'cancelled')),
    reason TEXT NOT NULL DEFAULT '',
    adapter_hash TEXT,
    adapter_size INTEGER
  ) STRICT;

  CREATE TABLE answer (
    run TEXT NOT NULL REFERENCES run (id),
    site TEXT NOT NULL REFERENCES member (site),
    approved INTEGER NOT NULL,
    examples INTEGER,
    code TEXT,
    reason TEXT,
    PRIMARY KEY (run, site)
  ) STRICT;

  -- base: what sites train from (float32). state: float64 blobs before the round, by name, as JSON.
  -- seconds: how long the hub has been up during the round. cohort: names, fixed when the round is closing.
  CREATE TABLE round (
    run TEXT NOT NULL REFERENCES run (id),
    number INTEGER NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('collecting', 'closing', 'closed')),
    base_hash TEXT NOT NULL,
    base_size INTEGER NOT NULL,
    state TEXT NOT NULL,
    seconds REAL NOT NULL DEFAULT 0,
    cohort TEXT,
    loss REAL,
    aggregate_hash TEXT,
    aggregate_size INTEGER,
    ledger_index INTEGER,
    PRIMARY KEY (run, number)
  ) STRICT;

  -- At most one update of a site counts in a round. refused: the site's last one was refused, and why.
  CREATE TABLE contribution (
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    site TEXT NOT NULL REFERENCES member (site),
    state TEXT NOT NULL CHECK (state IN ('committed', 'refused')),
    hash TEXT NOT NULL,
    examples INTEGER,
    loss REAL,
    metrics TEXT,
    code TEXT,
    reason TEXT,
    PRIMARY KEY (run, round, site),
    FOREIGN KEY (run, round) REFERENCES round (run, number)
  ) STRICT;

  CREATE TABLE traffic (
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    site TEXT NOT NULL,
    up INTEGER NOT NULL,
    down INTEGER NOT NULL,
    PRIMARY KEY (run, round, site)
  ) STRICT;

  CREATE TABLE countersignature (
    position INTEGER NOT NULL,
    site TEXT NOT NULL,
    PRIMARY KEY (position, site)
  ) STRICT;

  -- The blob that a site is sending, so that the part that has arrived survives a restart.
  CREATE TABLE offer (site TEXT PRIMARY KEY, hash TEXT NOT NULL, size INTEGER NOT NULL) STRICT;
`;
