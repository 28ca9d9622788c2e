/** @file Next version of a site's database: several federations, each with runs and approvals of its own. */

export const federations = `
  -- A federation that was left keeps its row, so that its number and its name here mean the same for ever.
  CREATE TABLE memberships (
    number INTEGER PRIMARY KEY,
    -- What it is called here: as its hub calls it, with a number where another one is called so too.
    name TEXT NOT NULL UNIQUE,
    federation TEXT NOT NULL,
    site TEXT NOT NULL,
    urls TEXT NOT NULL,
    x25519 BLOB NOT NULL,
    ed25519 BLOB NOT NULL,
    roster_version INTEGER NOT NULL,
    -- 0 once the site has left it.
    member INTEGER NOT NULL,
    -- 1 once its hub has entered the keys of the site that are to come.
    entered INTEGER NOT NULL
  ) STRICT;
  INSERT INTO memberships
    SELECT 1, federation, federation, site, urls, x25519, ed25519, roster_version, 1, 0 FROM membership;

  -- Without a federation there are no runs, and an approval is of no federation; a person gives it again.
  CREATE TABLE approvals (
    membership INTEGER NOT NULL REFERENCES memberships (number),
    run TEXT NOT NULL,
    dataset TEXT NOT NULL,
    PRIMARY KEY (membership, run)
  ) STRICT;
  INSERT INTO approvals SELECT number, run, dataset FROM memberships, approval;
  CREATE TABLE runs (
    membership INTEGER NOT NULL REFERENCES memberships (number),
    run TEXT NOT NULL,
    plan TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('proposed', 'approved', 'declined', 'completed', 'failed', 'cancelled')),
    reason TEXT NOT NULL,
    dataset TEXT,
    examples INTEGER,
    adapter TEXT,
    adapter_delta TEXT,
    saved INTEGER NOT NULL DEFAULT 0,
    amendment TEXT,
    amendment_hash TEXT,
    amendment_approved INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (membership, run)
  ) STRICT;
  INSERT INTO runs SELECT number, run, plan, plan_hash, state, reason, dataset, examples, adapter, adapter_delta, saved,
    amendment, amendment_hash, amendment_approved FROM memberships, run ORDER BY run.rowid;
  CREATE TABLE rounds (
    membership INTEGER NOT NULL,
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    base TEXT NOT NULL,
    control TEXT,
    learning_rate REAL NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('training', 'sending', 'committed', 'late', 'refused')),
    blob TEXT,
    examples INTEGER,
    loss REAL,
    metrics TEXT,
    aggregate TEXT,
    PRIMARY KEY (membership, run, round),
    FOREIGN KEY (membership, run) REFERENCES runs (membership, run) ON DELETE CASCADE
  ) STRICT;
  INSERT INTO rounds SELECT number, run, round, base, control, learning_rate, phase, blob, examples, loss, metrics,
    aggregate FROM memberships, round;
  CREATE TABLE carried_on (
    membership INTEGER NOT NULL,
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    name TEXT NOT NULL,
    blob TEXT NOT NULL,
    PRIMARY KEY (membership, run, round, name),
    FOREIGN KEY (membership, run, round) REFERENCES rounds (membership, run, round) ON DELETE CASCADE
  ) STRICT;
  INSERT INTO carried_on SELECT number, run, round, carried.name, blob FROM memberships, carried;
  CREATE TABLE stops (
    membership INTEGER NOT NULL,
    run TEXT NOT NULL,
    how TEXT NOT NULL CHECK (how IN ('finishing', 'paused', 'discarded', 'declined')),
    PRIMARY KEY (membership, run),
    FOREIGN KEY (membership, run) REFERENCES runs (membership, run) ON DELETE CASCADE
  ) STRICT;
  INSERT INTO stops SELECT number, run, how FROM memberships, stop;
  -- The membership 0 stands for what was sent before a federation was joined.
  CREATE TABLE traffics (
    membership INTEGER PRIMARY KEY,
    sent INTEGER NOT NULL,
    received INTEGER NOT NULL,
    updates INTEGER NOT NULL DEFAULT 0,
    scores INTEGER NOT NULL DEFAULT 0,
    answers INTEGER NOT NULL DEFAULT 0,
    progress INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  INSERT INTO traffics (membership, sent, received) VALUES (0, 0, 0);
  INSERT OR REPLACE INTO traffics
    SELECT COALESCE((SELECT number FROM memberships), 0), sent, received, updates, scores, answers, progress FROM traffic;

  DROP TABLE carried;
  DROP TABLE stop;
  DROP TABLE round;
  DROP TABLE run;
  DROP TABLE approval;
  DROP TABLE membership;
  DROP TABLE traffic;
  ALTER TABLE memberships RENAME TO membership;
  ALTER TABLE approvals RENAME TO approval;
  ALTER TABLE runs RENAME TO run;
  ALTER TABLE rounds RENAME TO round;
  ALTER TABLE carried_on RENAME TO carried;
  ALTER TABLE stops RENAME TO stop;
  ALTER TABLE traffics RENAME TO traffic;
`;
