/** @file The numbers at an axis. */

const FEWEST_DIGITS = 3;

/** Significant digits by which neighbouring ticks of an axis can be told apart. */
export function digitsOf(ticks: readonly number[]): number {
  const largest = Math.max(...ticks.map(Math.abs));
  const spacing = ticks.length < 2 ? 0 : Math.abs(ticks[1] - ticks[0]);
  if (spacing === 0) return FEWEST_DIGITS;
  return Math.max(FEWEST_DIGITS, Math.ceil(Math.log10(largest / spacing)) + 1);
}
