/** @file The colour in which a site's state is shown. */

export const stateTones = {
  'not-joined': 'neutral',
  stopped: 'warn',
  offline: 'warn',
  revoked: 'bad',
  idle: 'good',
  'awaiting-approval': 'info',
  ready: 'good',
  working: 'good',
  paused: 'warn',
} as const;
