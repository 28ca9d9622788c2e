/** @file Public datasets: which there are, and bringing one to this machine. */

export const publicData = {
  open: 'Public datasets',
  lead: 'For trying things out or beside your own data. A file is fetched to this machine and then connected like any other; nothing of yours is sent.',
  topics: {
    medicine: 'Medicine',
    general: 'General',
    finance: 'Finance and banking',
    code: 'Programming',
    mathematics: 'Mathematics',
    preferences: 'Preferences',
    safety: 'Safety',
  },
  dataset: 'Dataset',
  size: 'Size',
  about: (size: string) => `about ${size}`,
  licence: 'Licence',
  notStated: 'not stated',
  hash: 'Checked by',
  pinned: 'known hash',
  firstUse: 'first use',
  firstUseHint:
    'No hash of it could be checked for this list: the first one fetched is remembered, and another is refused later.',
  measuring: 'for measuring, not for training',
  fetch: 'Fetch',
  fetchNamed: (name: string) => `Fetch ${name}`,
  connect: 'Connect',
  connectNamed: (name: string) => `Connect ${name}`,
  fetching: (name: string) => `Fetching ${name}`,
  failed: 'The dataset was not fetched',
  byHand: (folder: string) =>
    `Without internet: copy the file, with the name that the message tells, to ${folder}.`,
};
