/** @file Numbers at an axis can be told apart. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { digitsOf } from '../../renderer/components/ticks.ts';

test('no two ticks of an axis are written alike, and few digits are used where few are enough', () => {
  expect(digitsOf([0, 0.5, 1])).toBe(3);
  expect(digitsOf([5.84, 5.845, 5.85, 5.855])).toBe(5);
  fc.assert(
    fc.property(
      fc.integer({ min: -100_000, max: 100_000 }),
      fc.constantFrom(1, 2, 5),
      fc.integer({ min: -4, max: 3 }),
      (from, step, power) => {
        const ticks = [0, 1, 2, 3, 4].map((index) => (from + index * step) * 10 ** power);
        const maximumSignificantDigits = digitsOf(ticks);
        const format = new Intl.NumberFormat('en', { maximumSignificantDigits });
        expect(new Set(ticks.map((tick) => format.format(tick))).size).toBe(ticks.length);
      },
    ),
  );
});
