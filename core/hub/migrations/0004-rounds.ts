/**
 * @file Next version of a hub's database: rounds that some sites are drawn for, that sites score, and that wait for a
 * paused run; plans that were amended.
 */

export const rounds = `
  -- paused: why, while the run opens no further round. deadline: seconds, in place of the plan's.
  -- amendment: a plan with more rounds that sites are asked to approve, as canonical JSON.
  ALTER TABLE run ADD COLUMN paused TEXT;
  ALTER TABLE run ADD COLUMN deadline REAL;
  ALTER TABLE run ADD COLUMN amendment TEXT;
  ALTER TABLE run ADD COLUMN amendment_hash TEXT;

  CREATE TABLE amendment_answer (
    run TEXT NOT NULL REFERENCES run (id),
    site TEXT NOT NULL REFERENCES member (site),
    approved INTEGER NOT NULL,
    examples INTEGER,
    code TEXT,
    reason TEXT,
    PRIMARY KEY (run, site)
  ) STRICT;

  -- A check cannot be altered, so the table is made anew. Contributions refer to it until the transaction ends.
  PRAGMA defer_foreign_keys = ON;
  CREATE TABLE round_before AS SELECT * FROM round;
  DROP TABLE round;

  -- As before, and:
  -- selected: names of the sites that the round asks, as JSON; null where it asks all of the run.
  -- next_state: float64 blobs after the round, by name, as JSON, once it has an aggregate.
  -- scorers: names of the sites whose scores are awaited, as JSON; scoring_from: seconds when that began.
  CREATE TABLE round (
    run TEXT NOT NULL REFERENCES run (id),
    number INTEGER NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('collecting', 'closing', 'scoring', 'closed')),
    base_hash TEXT NOT NULL,
    base_size INTEGER NOT NULL,
    state TEXT NOT NULL,
    seconds REAL NOT NULL DEFAULT 0,
    cohort TEXT,
    loss REAL,
    aggregate_hash TEXT,
    aggregate_size INTEGER,
    ledger_index INTEGER,
    selected TEXT,
    next_state TEXT,
    scorers TEXT,
    scoring_from REAL,
    PRIMARY KEY (run, number)
  ) STRICT;
  INSERT INTO round SELECT *, NULL, NULL, NULL, NULL FROM round_before;
  DROP TABLE round_before;

  -- What a site has measured of a round's aggregate on rows it holds out: numbers by name, as JSON.
  CREATE TABLE score (
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    site TEXT NOT NULL REFERENCES member (site),
    examples INTEGER NOT NULL,
    metrics TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run, round, site),
    FOREIGN KEY (run, round) REFERENCES round (run, number)
  ) STRICT;
`;
