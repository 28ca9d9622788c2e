/** @file What a site's bytes to its hub are, by kind, so that it can be said what left a machine. */

import type { MessageType } from './messages.ts';

/**
 * `updates`: tensors of adapters. `scores`: means over held-out rows. `answers`: approvals, refusals, rehearsals,
 * signatures. * `progress`: phases, steps, losses, troubles. `connection`: handshakes, heartbeats, acknowledgements, and the frames
 * around everything.
 */
export const TRAFFIC_KINDS = ['updates', 'scores', 'answers', 'progress', 'connection'] as const;
export type TrafficKind = (typeof TRAFFIC_KINDS)[number];
export type Traffic = Readonly<Record<TrafficKind, number>>;

const KINDS: Readonly<Partial<Record<MessageType, TrafficKind>>> = {
  update: 'updates',
  'blob-info': 'updates',
  'blob-chunk': 'updates',
  score: 'scores',
  approval: 'answers',
  decline: 'answers',
  refuse: 'answers',
  countersign: 'answers',
  rehearsed: 'answers',
  progress: 'progress',
  trouble: 'progress',
};

export function trafficKind(type: MessageType): TrafficKind {
  return KINDS[type] ?? 'connection';
}

export function noTraffic(): Record<TrafficKind, number> {
  return { updates: 0, scores: 0, answers: 0, progress: 0, connection: 0 };
}
