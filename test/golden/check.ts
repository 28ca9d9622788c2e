/** @file What a check of golden vectors reports, and comparisons of numbers. */

export type Check = { name: string; status: 'passed' | 'failed' | 'skipped'; detail?: string };

/** A check from the first difference found; null where there is none. */
export function check(name: string, difference: string | null): Check {
  return difference === null ? { name, status: 'passed' } : { name, status: 'failed', detail: difference };
}

/** The same checks with `prefix` before their names. */
export function prefixed(prefix: string, checks: readonly Check[]): Check[] {
  return checks.map((one) => ({ ...one, name: `${prefix} ${one.name}` }));
}

/** Null where every |got − expected| is at most `tolerance`, else the largest difference. */
export function absolute(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): string | null {
  if (got.length !== expected.length) return `${got.length} values, expected ${expected.length}`;
  let worst = 0;
  for (let index = 0; index < got.length; index++) {
    const difference = Math.abs(got[index] - expected[index]);
    // Written so that NaN is a difference.
    if (!(difference <= tolerance) && !(difference <= Math.abs(got[worst] - expected[worst]))) worst = index;
  }
  if (got.length === 0 || Math.abs(got[worst] - expected[worst]) <= tolerance) return null;
  return `value ${worst} is ${got[worst]}, expected ${expected[worst]} ± ${tolerance}`;
}

/** Null where every |got − expected| is at most `tolerance` · |expected|. */
export function relative(
  got: readonly number[],
  expected: readonly number[],
  tolerance: number,
): string | null {
  const ratios = got.map((value, index) => value / expected[index]);
  return absolute(
    ratios,
    expected.map(() => 1),
    tolerance,
  );
}

/** Null where max |got − expected| / max |expected| is at most `tolerance`. */
export function relativeToMaximum(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): string | null {
  const maximum = Array.from(expected).reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  return absolute(got, expected, tolerance * maximum);
}

/** √ Σ x² */
export function norm(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}
