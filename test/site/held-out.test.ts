/** @file Rows that are held out: a share or a number, the same ones whatever the order, equal rows together. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bestRound, isScored } from '../../core/federation/held-out.ts';
import type { RoundScore } from '../../core/federation/held-out.ts';
import { splitHeldOut } from '../../core/site/held-out.ts';

const split = (rows: readonly number[], options: { share?: number; count?: number }) =>
  splitHeldOut(rows, (row) => ({ question: `q${row}` }), options);

describe('splitHeldOut', () => {
  const rows = Array.from({ length: 1000 }, (_, index) => index);

  it('holds out about the share, by content alone', () => {
    const { training, heldOut } = split(rows, { share: 0.2 });
    expect(heldOut.length).toBeGreaterThan(160);
    expect(heldOut.length).toBeLessThan(240);
    expect([...training, ...heldOut].sort((a, b) => a - b)).toEqual(rows);
    expect(split(rows, {}).heldOut.length).toBeLessThan(heldOut.length);
  });

  it('is the same in any order, and a row that is held out stays so when others come or go', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(rows.slice(0, 60)), (some) => {
        const all = new Set(split(rows, { share: 0.3 }).heldOut);
        for (const row of split(some, { share: 0.3 }).heldOut) expect(all.has(row)).toBe(true);
        for (const row of split(some, { share: 0.3 }).training) expect(all.has(row)).toBe(false);
      }),
    );
  });

  it('holds out a number of rows, half of them at most, and equal rows together', () => {
    expect(split(rows, { count: 25 }).heldOut).toHaveLength(25);
    expect(split([1, 2, 3, 4, 5], { count: 4 }).heldOut).toHaveLength(2);
    fc.assert(
      fc.property(fc.array(fc.nat(9), { maxLength: 40 }), fc.integer({ min: 1, max: 20 }), (some, count) => {
        const { training, heldOut } = split(some, { count });
        for (const row of heldOut) expect(training).not.toContain(row);
        expect(heldOut.length).toBeLessThanOrEqual(Math.min(count, some.length / 2));
      }),
    );
  });
});

describe('bestRound', () => {
  const losses = (...values: (number | undefined)[]) =>
    values.map((heldOutLoss, round): RoundScore => ({
      round,
      metrics: heldOutLoss === undefined ? {} : { heldOutLoss },
    }));

  it('is the lowest loss, and counts the scored rounds since', () => {
    expect(bestRound(losses(3, 2, 2.5, undefined, 2.1))).toEqual({ round: 1, value: 2, since: 2 });
    expect(bestRound(losses(undefined))).toBeNull();
  });

  it('is the highest accuracy, and the earlier of two that are as good', () => {
    const scores = [0.5, 0.7, 0.705].map((heldOutAccuracy, round) => ({
      round,
      metrics: { heldOutAccuracy },
    }));
    expect(bestRound(scores, { metric: 'heldOutAccuracy' })?.round).toBe(2);
    expect(bestRound(scores, { metric: 'heldOutAccuracy', minDelta: 0.01 })?.round).toBe(1);
  });
});

it('every so many rounds are scored, and the last one', () => {
  const plan = { evaluation: { minimum: 1, every: 3 }, federation: { rounds: 8 } };
  const scored = [0, 1, 2, 3, 4, 5, 6, 7].filter((round) => isScored(plan, round));
  expect(scored).toEqual([2, 5, 7]);
  expect(isScored({ federation: { rounds: 8 } }, 7)).toBe(false);
});
