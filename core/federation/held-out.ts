/** @file What of a plan is about rows that sites hold out: how they score an aggregate, and what follows from it. */

import { z } from 'zod';
import type { Metrics } from './metrics.ts';

/** What a site may measure on its held-out rows, and which way is better. */
const SCORES = {
  heldOutLoss: 'lower',
  heldOutAccuracy: 'higher',
  heldOutMargin: 'higher',
} as const;
export type ScoreName = keyof typeof SCORES;

const nameShape = z.enum(['heldOutLoss', 'heldOutAccuracy', 'heldOutMargin']);

/** `evaluation` of a plan; without it no rows are held out. */
export const evaluationSchema = z.strictObject({
  share: z
    .number()
    .gt(0)
    .max(0.5)
    .optional()
    .describe('share of its rows that each site holds out; 0.1 where neither share nor count is given'),
  count: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe('rows that each site holds out, in place of a share'),
  minimum: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(8)
    .describe('with fewer held-out rows a site tells no numbers'),
  every: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1)
    .describe('score the aggregate of every so many rounds, and of the last one'),
});
export type Evaluation = z.infer<typeof evaluationSchema>;

/** Share that is held out where a plan says neither share nor count. */
export const DEFAULT_SHARE = 0.1;

/** `federation.earlyStop` of a plan. */
export const earlyStopSchema = z.strictObject({
  metric: nameShape.default('heldOutLoss').describe('what has to get better'),
  patience: z
    .int()
    .min(1)
    .max(100_000)
    .default(3)
    .describe('scored rounds without a better value after which the run ends with its best round'),
  minDelta: z.number().min(0).default(0).describe('by how much a value has to be better to count'),
});
export type EarlyStop = z.infer<typeof earlyStopSchema>;

/** Whether sites score the aggregate of a round, from 0. */
export function isScored(
  { evaluation, federation }: { readonly evaluation?: Evaluation; readonly federation: { rounds: number } },
  round: number,
): boolean {
  if (evaluation === undefined) return false;
  return (round + 1) % evaluation.every === 0 || round + 1 === federation.rounds;
}

/** The numbers of a scored round over its sites. */
export interface RoundScore {
  readonly round: number;
  readonly metrics: Metrics;
}

/**
 * The best of the scored rounds, in their order, and how many scored rounds have passed since; null where none has
 * the number. Of two that are equal within `minDelta` the earlier one is the best.
 */
export function bestRound(
  scores: readonly RoundScore[],
  { metric = 'heldOutLoss', minDelta = 0 }: Partial<EarlyStop> = {},
): { readonly round: number; readonly value: number; readonly since: number } | null {
  let best: { round: number; value: number; since: number } | null = null;
  for (const { round, metrics } of scores) {
    const value: number | undefined = metrics[metric];
    if (value === undefined) continue;
    const gain =
      best === null ? Infinity : SCORES[metric] === 'lower' ? best.value - value : value - best.value;
    if (gain > minDelta) best = { round, value, since: 0 };
    else if (best !== null) best.since += 1;
  }
  return best;
}
