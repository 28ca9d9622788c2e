/** @file The screen for those who help. */

export const diagnostics = {
  lead: 'If something does not work, copy this report and send it to whoever helps you.',
  again: 'Check again',
  checks: 'Checks',
  /** By the names that the report has for them. */
  names: {
    processor: 'Processor',
    memory: 'Memory',
    disk: 'Disk',
    model: 'Model',
    folder: 'Folder',
    hub: 'Hub',
    sent: 'Sent',
    sites: 'Sites',
    invitations: 'Invitations',
  },
  report: 'Report',
  ok: 'All right',
  notOk: 'Needs attention',
};
