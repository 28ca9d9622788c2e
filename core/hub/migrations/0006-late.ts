/** @file Next version of a hub's database: updates that came late and count in the round after theirs. */

export const late = `
  -- Number of the round that a late update was trained in; null where that is the round it counts in.
  ALTER TABLE contribution ADD COLUMN late_from INTEGER;
`;
