/** @file Next version of a site's database: runs that a person here has declined, paused or given up. */

export const held = `
  -- 'finishing', 'paused', 'declined' or 'discarded'; null where nobody has said so.
  ALTER TABLE run ADD COLUMN held TEXT;
`;
