/** @file The screen for those who help. */

export const diagnostics = {
  lead: 'If something does not work, copy this report and send it to whoever helps you.',
  again: 'Check again',
  checks: 'Checks',
  report: 'Report',
  ok: 'All right',
  notOk: 'Needs attention',
};
