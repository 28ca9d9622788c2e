/** @file Next version of a site's database: keys that take the place of those before. */

export const keys = `
  -- generation: how often the keys have changed. pending: 1 while new ones wait for the hub to enter them.
  CREATE TABLE own_keys (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    generation INTEGER NOT NULL,
    pending INTEGER NOT NULL
  ) STRICT;
  INSERT INTO own_keys VALUES (1, 0, 0);
`;
