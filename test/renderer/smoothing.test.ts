/** @file The smoothed curve. */

import { expect, test } from 'vitest';
import { smooth } from '../../renderer/components/smoothing.ts';

test('a constant stays what it is from the first value on', () => {
  for (const value of smooth([3, 3, 3, 3])) expect(value).toBeCloseTo(3, 12);
});

test('gaps stay gaps and do not count', () => {
  const [first, gap, last] = smooth([2, null, 4], 0.5);
  expect(gap).toBeNull();
  expect(first).toBeCloseTo(2, 12);
  // (0.5 · 1 + 0.5 · 4) / 0.75
  expect(last).toBeCloseTo(10 / 3, 12);
});
