/** @file What the states of runs and sites look like. */

import type { Output } from '../../bridge/types.ts';

/** Steps of sites change without the status changing; so often they are asked for while a run is open. */
export const LOOK_MILLISECONDS = 1500;

export type HubRun = Output<'hub.run'>['run'];
export type RoundOfRun = HubRun['history'][number];

export const runTones = {
  proposed: 'info',
  running: 'good',
  paused: 'warn',
  completed: 'good',
  failed: 'bad',
  cancelled: 'neutral',
} as const satisfies Record<HubRun['state'], string>;

export const siteTones = {
  asked: 'info',
  declined: 'neutral',
  excluded: 'bad',
  approved: 'good',
  away: 'warn',
  'not-drawn': 'neutral',
  fetching: 'info',
  training: 'info',
  sending: 'info',
  sent: 'good',
  refused: 'bad',
  scoring: 'info',
  revoked: 'neutral',
  done: 'neutral',
} as const satisfies Record<HubRun['sites'][number]['state'], string>;

/** Whether anything can still happen in a run. */
export function isOpen({ state }: { readonly state: string }): boolean {
  return state === 'proposed' || state === 'running' || state === 'paused';
}
