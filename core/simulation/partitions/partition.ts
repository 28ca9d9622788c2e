/** @file What a partition of rows among sites is, and what all ways to make one share. */

import { TributaryError } from '../../errors.ts';
import type { Random } from '../../random.ts';

/** Indices of rows by site. Every row is at exactly one site. */
export type Partition = readonly (readonly number[])[];

/** No site is left with fewer rows: one to train on and one to hold out. */
export const FEWEST_ROWS = 2;

/** @throws TributaryError `simulation.too-few-rows` where sites would be left with less than {@link FEWEST_ROWS} */
export function requireRows(rows: number, sites: number): void {
  if (rows >= sites * FEWEST_ROWS) return;
  throw new TributaryError(
    'simulation.too-few-rows',
    `${rows} rows cannot be divided among ${sites} sites: each needs at least ${FEWEST_ROWS}.`,
  );
}

/**
 * Whole numbers in the proportion of `shares` whose sum is `total` (largest remainders; of equal ones the first).
 * Shares of no sum at all count as equal.
 */
export function apportion(total: number, shares: readonly number[]): number[] {
  const sum = shares.reduce((a, b) => a + b, 0);
  const exact = shares.map((share) => (sum > 0 ? (total * share) / sum : total / shares.length));
  const counts = exact.map(Math.floor);
  const left = total - counts.reduce((a, b) => a + b, 0);
  const order = exact
    .map((value, index) => ({ index, rest: value - counts[index] }))
    .sort((a, b) => b.rest - a.rest || a.index - b.index);
  for (const { index } of order.slice(0, left)) counts[index] += 1;
  return counts;
}

/** Moves rows from the largest site, its last ones first, to those that have fewer than {@link FEWEST_ROWS}. */
export function fillUp(sites: number[][]): number[][] {
  for (const poor of sites) {
    while (poor.length < FEWEST_ROWS) {
      const richest = sites.reduce((best, site) => (site.length > best.length ? site : best));
      poor.push(...richest.splice(-1));
    }
  }
  return sites;
}

/**
 * One draw of the symmetric Dirichlet distribution: positive numbers whose sum is 1. The smaller alpha, the more
 * uneven they are.
 */
export function dirichlet(random: Random, count: number, alpha: number): number[] {
  const logs = Array.from({ length: count }, () => logGamma(random, alpha));
  // Of a small alpha the gammas themselves would all be zero.
  const largest = Math.max(...logs);
  const values = logs.map((value) => Math.exp(value - largest));
  const sum = values.reduce((a, b) => a + b, 0);
  return values.map((value) => value / sum);
}

/** The logarithm of a draw of the gamma distribution of scale 1 (Marsaglia and Tsang, 2000). */
function logGamma(random: Random, shape: number): number {
  if (shape < 1) return logGamma(random, shape + 1) + Math.log(1 - random.uniform()) / shape;
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
      return Math.log(d) + Math.log(v);
    }
  }
}
