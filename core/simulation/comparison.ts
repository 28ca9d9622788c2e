/** @file Compares models over held-out rows and seeds: means, intervals, and by how much one is ahead of another. */

import { mulberry32 } from '../evaluation/metrics/bootstrap.ts';
import type { Outcome } from './measure.ts';

/** What one kind of model reached with one seed: the outcomes of each model of that kind on the same rows. */
export type Members = readonly (readonly Outcome[])[];

/** A value with its 95 % interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Means over the seeds and, of a kind with several models (one a site), over those. */
export interface Score {
  readonly loss: number;
  readonly perplexity: number;
  /** Of labels or pairs: the share that is right. */
  readonly accuracy?: number;
  readonly intervals: Readonly<Record<string, readonly [low: number, high: number]>>;
}

/** Outcomes by the name of the kind, one entry a seed. */
export type Comparable = Readonly<Record<string, readonly Members[]>>;

const RESAMPLES = 1000;
const LEVEL = 0.95;

type Measure = (rows: readonly Outcome[]) => number;

const sum = (rows: readonly Outcome[], key: 'loss' | 'weight' | 'answerLoss' | 'answerTokens'): number =>
  rows.reduce((total, row) => total + row[key], 0);
const loss: Measure = (rows) => sum(rows, 'loss') / sum(rows, 'weight');
const tokenLoss: Measure = (rows) => sum(rows, 'answerLoss') / sum(rows, 'answerTokens');
const accuracy: Measure = (rows) => {
  const hits = rows.flatMap(({ hit }) => (hit === undefined ? [] : [hit]));
  return mean(hits);
};

/**
 * The scores of all kinds. Intervals are bootstraps of two levels: seeds are drawn, and for each the held-out rows,
 * the same for every kind, so that differences are those of pairs.
 */
export function scoresOf(kinds: Comparable): Record<string, Score> {
  const draws = drawsFor(kinds);
  return Object.fromEntries(
    Object.entries(kinds).map(([name, seeds]) => {
      const estimate = (measure: Measure) => estimateOf(draws, (draw) => over(seeds, draw, measure));
      const [ownLoss, ownTokenLoss] = [estimate(loss), estimate(tokenLoss)];
      const hasHits = seeds.every((members) =>
        members.every((rows) => rows.some(({ hit }) => hit !== undefined)),
      );
      const ownAccuracy = hasHits ? estimate(accuracy) : undefined;
      const score: Score = {
        loss: ownLoss.value,
        perplexity: Math.exp(ownTokenLoss.value),
        ...(ownAccuracy && { accuracy: ownAccuracy.value }),
        intervals: {
          loss: [ownLoss.low, ownLoss.high],
          perplexity: [Math.exp(ownTokenLoss.low), Math.exp(ownTokenLoss.high)],
          ...(ownAccuracy && { accuracy: [ownAccuracy.low, ownAccuracy.high] }),
        },
      };
      return [name, score];
    }),
  );
}

/** How much lower the loss, and how much higher the accuracy, of one kind is than another's, row by row. */
export function advantage(
  kinds: Comparable,
  [one, other]: readonly [string, string],
): { readonly loss: Estimate; readonly accuracy: Estimate } {
  const draws = drawsFor(kinds);
  const difference = (measure: Measure) =>
    estimateOf(draws, (draw) => over(kinds[one], draw, measure) - over(kinds[other], draw, measure));
  const { value, low, high } = difference(loss);
  return { loss: { value: -value, low: -high, high: -low }, accuracy: difference(accuracy) };
}

/** Rows drawn, by seed drawn. */
type Draw = readonly { readonly seed: number; readonly rows: readonly number[] }[];

function drawsFor(kinds: Comparable): { readonly all: Draw; readonly resampled: readonly Draw[] } {
  const [seeds = []] = Object.values(kinds);
  const sizes = seeds.map(([rows]) => rows.length);
  const uniform = mulberry32(0);
  const below = (bound: number): number => Math.floor(uniform() * bound);
  const draw = (): Draw =>
    sizes.map(() => {
      const seed = below(sizes.length);
      return { seed, rows: Array.from({ length: sizes[seed] }, () => below(sizes[seed])) };
    });
  return {
    all: sizes.map((size, seed) => ({ seed, rows: Array.from({ length: size }, (_, row) => row) })),
    resampled: Array.from({ length: RESAMPLES }, draw),
  };
}

/** The mean over the drawn seeds and their models. */
function over(seeds: readonly Members[], draw: Draw, measure: Measure): number {
  return mean(
    draw.map(({ seed, rows }) =>
      mean(seeds[seed].map((outcomes) => measure(rows.map((row) => outcomes[row])))),
    ),
  );
}

function estimateOf(
  { all, resampled }: ReturnType<typeof drawsFor>,
  statistic: (draw: Draw) => number,
): Estimate {
  const values = resampled.map(statistic).sort((a, b) => a - b);
  const at = (share: number): number => values[Math.round(share * (values.length - 1))];
  return { value: statistic(all), low: at((1 - LEVEL) / 2), high: at((1 + LEVEL) / 2) };
}

function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
