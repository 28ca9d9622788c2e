/** @file Version 2 of a site's database: what a site carries from round to round. */

export const carried = `
  -- Float32 blobs by name that the update of a round leaves for the next one, such as SCAFFOLD's control variate of
  -- the site. They count once the update does.
  CREATE TABLE carried (
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    name TEXT NOT NULL,
    blob TEXT NOT NULL,
    PRIMARY KEY (run, round, name),
    FOREIGN KEY (run, round) REFERENCES round (run, round) ON DELETE CASCADE
  ) STRICT;
  ALTER TABLE round ADD COLUMN control TEXT;
  -- How the adapter of a run that ended follows from the base of its last round, as JSON.
  ALTER TABLE run ADD COLUMN adapter_delta TEXT;
`;
