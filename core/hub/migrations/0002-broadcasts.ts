/** @file Next version of a hub's database: what sites receive with the base of a round. */

export const broadcasts = `
  -- A float32 blob that sites receive for a round, and how it follows from one that they have. part: 'weights', or
  -- 'control' for SCAFFOLD's control variate. The rows of a round come with the aggregate of the one before, also
  -- after the last round. delta_from: the hash of the blob that the delta is to be applied to; null for none.
  CREATE TABLE broadcast (
    run TEXT NOT NULL REFERENCES run (id),
    round INTEGER NOT NULL,
    part TEXT NOT NULL,
    hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    delta_from TEXT,
    delta_hash TEXT,
    delta_size INTEGER,
    PRIMARY KEY (run, round, part)
  ) STRICT;
`;
