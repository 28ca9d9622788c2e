/** @file Next version of a site's database: plans that were amended while their run goes on. */

export const amendments = `
  -- The plan with more rounds that the hub has asked for, and whether it is approved here.
  ALTER TABLE run ADD COLUMN amendment TEXT;
  ALTER TABLE run ADD COLUMN amendment_hash TEXT;
  ALTER TABLE run ADD COLUMN amendment_approved INTEGER NOT NULL DEFAULT 0;
`;
