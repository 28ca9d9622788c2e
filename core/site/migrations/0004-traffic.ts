/** @file Next version of a site's database: what left the machine, by kind. */

export const traffic = `
  -- Of the bytes sent; the rest of them carried these.
  ALTER TABLE traffic ADD COLUMN updates INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE traffic ADD COLUMN scores INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE traffic ADD COLUMN answers INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE traffic ADD COLUMN progress INTEGER NOT NULL DEFAULT 0;
`;
