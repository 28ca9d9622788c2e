/** @file Next version of a hub's database: invitations by which a device takes another one's place. */

export const devices = `
  -- replaces: 1 where the coordinator wants the site of that name to come back with other keys.
  ALTER TABLE invitation ADD COLUMN replaces INTEGER NOT NULL DEFAULT 0;

  -- Keys of devices that were replaced, so that whoever holds one is told so. ended: Unix seconds.
  CREATE TABLE replaced_key (
    x25519 BLOB PRIMARY KEY,
    site TEXT NOT NULL REFERENCES member (site),
    ended INTEGER NOT NULL
  ) STRICT;
`;
