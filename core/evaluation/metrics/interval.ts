/** @file The interval of a mean: of a share, such as an accuracy, in closed form, of anything else by resampling. */

import { bootstrapInterval, type Interval } from './bootstrap.ts';

/** The standard normal distribution's 97.5 % point. */
const Z = 1.959963984540054;

/**
 * The 95 % score interval of the share of ones among n values that are 0 or 1 (Wilson 1927; Newcombe 1998, method 3):
 * (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n). A bootstrap of a share of none or all would say that nothing
 * is uncertain.
 */
export function wilsonInterval(values: readonly number[]): Interval {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const spread = (mean * (1 - mean)) / n;
  const scale = 1 + Z ** 2 / n;
  const centre = (mean + Z ** 2 / (2 * n)) / scale;
  const half = (Z / scale) * Math.sqrt(spread + Z ** 2 / (4 * n ** 2));
  return {
    mean,
    lower: Math.max(0, centre - half),
    upper: Math.min(1, centre + half),
    standardError: Math.sqrt(spread),
  };
}

/** The mean with its 95 % interval: Wilson's where all values are 0 or 1, otherwise the percentile bootstrap. */
export function meanInterval(values: readonly number[]): Interval {
  const isShare = values.every((value) => value === 0 || value === 1);
  return isShare ? wilsonInterval(values) : bootstrapInterval(values);
}
