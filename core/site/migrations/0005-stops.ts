/** @file Next version of a site's database: runs that a person has stopped at this site. */

export const stops = `
  -- No standing approval starts them again. Of a run that is finishing, the round under way is still sent.
  CREATE TABLE stop (
    run TEXT PRIMARY KEY REFERENCES run (run) ON DELETE CASCADE,
    how TEXT NOT NULL CHECK (how IN ('finishing', 'paused', 'discarded', 'declined'))
  ) STRICT;
`;
