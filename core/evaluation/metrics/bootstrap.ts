/** @file Percentile bootstrap: how far a mean over items would move with other items. */

/** The generator mulberry32: uniform numbers in [0, 1), the same for one seed on every machine. */
export function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface BootstrapOptions {
  readonly seed: number;
  readonly resamples: number;
}

/** The mean of each resample of n values drawn with replacement. */
export function resampleMeans(
  values: readonly number[],
  { seed, resamples }: BootstrapOptions,
): Float64Array {
  const uniform = mulberry32(seed);
  return Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[Math.floor(uniform() * values.length)];
    return sum / values.length;
  });
}

export interface Interval {
  readonly mean: number;
  readonly lower: number;
  readonly upper: number;
  readonly standardError: number;
}

/** The interval between the quantiles (1 − level)/2 and 1 − (1 − level)/2 of the resampled means. */
export function bootstrapInterval(
  values: readonly number[],
  { seed = 0, resamples = 1000, level = 0.95 }: Partial<BootstrapOptions> & { readonly level?: number } = {},
): Interval {
  const means = resampleMeans(values, { seed, resamples }).sort();
  return { ...intervalOf(means, level), mean: average(values) };
}

/** The same interval of any statistic of the items, such as a ratio of sums or a macro F1. */
export function bootstrapStatistic<Item>(
  items: readonly Item[],
  statistic: (items: readonly Item[]) => number,
  { seed = 0, resamples = 1000, level = 0.95 }: Partial<BootstrapOptions> & { readonly level?: number } = {},
): Interval {
  const uniform = mulberry32(seed);
  const draw = (): Item => items[Math.floor(uniform() * items.length)];
  const values = Float64Array.from({ length: resamples }, () => statistic(items.map(draw))).sort();
  return { ...intervalOf(values, level), mean: statistic(items) };
}

function intervalOf(sorted: Float64Array, level: number): Omit<Interval, 'mean'> {
  const tail = (1 - level) / 2;
  return {
    lower: quantile(sorted, tail),
    upper: quantile(sorted, 1 - tail),
    standardError: standardDeviation(sorted),
  };
}

/** Linear interpolation at position (n − 1)·q of sorted values. */
function quantile(sorted: Float64Array, q: number): number {
  const position = (sorted.length - 1) * q;
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
}

function average(values: Iterable<number> & { readonly length: number }): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** With divisor n − 1. */
function standardDeviation(values: Float64Array): number {
  const mean = average(values);
  let sum = 0;
  for (const value of values) sum += (value - mean) ** 2;
  return Math.sqrt(sum / (values.length - 1));
}
