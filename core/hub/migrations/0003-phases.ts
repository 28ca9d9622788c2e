/** @file Next version of a hub's database: how long each phase of a round has taken. */

export const phases = `
  -- Seconds of the hub's uptime.
  CREATE TABLE phase (
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    phase TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (run, round, phase)
  ) STRICT;
`;
