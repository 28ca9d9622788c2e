/** @file Version 1 of a site's database. */

import { LEDGER_TABLES } from '../../federation/ledger.ts';

export const first = `
  ${LEDGER_TABLES}

  CREATE TABLE membership (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    federation TEXT NOT NULL,
    site TEXT NOT NULL,
    urls TEXT NOT NULL,
    x25519 BLOB NOT NULL,
    ed25519 BLOB NOT NULL,
    roster_version INTEGER NOT NULL
  ) STRICT;
  -- Which dataset a run may use; the run '*' stands for every run within the policy.
  CREATE TABLE approval (
    run TEXT PRIMARY KEY,
    dataset TEXT NOT NULL
  ) STRICT;
  CREATE TABLE run (
    run TEXT PRIMARY KEY,
    plan TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('proposed', 'approved', 'declined', 'completed', 'failed', 'cancelled')),
    reason TEXT NOT NULL,
    dataset TEXT,
    examples INTEGER,
    adapter TEXT,
    saved INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE round (
    run TEXT NOT NULL REFERENCES run (run),
    round INTEGER NOT NULL,
    base TEXT NOT NULL,
    learning_rate REAL NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('training', 'sending', 'committed', 'late', 'refused')),
    blob TEXT,
    examples INTEGER,
    loss REAL,
    metrics TEXT,
    aggregate TEXT,
    PRIMARY KEY (run, round)
  ) STRICT;
  CREATE TABLE traffic (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    sent INTEGER NOT NULL,
    received INTEGER NOT NULL
  ) STRICT;
  INSERT INTO traffic VALUES (1, 0, 0);
`;
