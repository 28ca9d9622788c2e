/** @file Comparing many numbers at once: an expectation for each of them takes seconds. */

import { expect } from 'vitest';

/** NaN where one of the numbers is; fails where there are not as many of both. */
export function largestDifference(one: ArrayLike<number>, other: ArrayLike<number>): number {
  expect(one.length).toBe(other.length);
  return Array.from(one).reduce(
    (largest, value, index) => Math.max(largest, Math.abs(value - other[index])),
    0,
  );
}
