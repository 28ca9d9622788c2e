/** @file What the states of a run look like. */

import type { Output } from '../../bridge/types.ts';

export type Run = Output<'runs.list'>['runs'][number];

export const runTones = {
  proposed: 'info',
  approved: 'good',
  paused: 'warn',
  declined: 'neutral',
  discarded: 'neutral',
  completed: 'good',
  failed: 'bad',
  cancelled: 'neutral',
} as const satisfies Record<Run['state'], string>;

/** States in which something may still happen here. */
export const OPEN_STATES: ReadonlySet<Run['state']> = new Set(['proposed', 'approved', 'paused']);
