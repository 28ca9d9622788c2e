/** @file What the rounds of a run add up to in a hub's window. */

import { describe, expect, it, test } from 'vitest';
import { bytesBySite, curves, roundsDone, totals, unitOf } from '../../renderer/hub/runs/figures.ts';

const round = (number: number, sites: [string, number, number][], metrics: Record<string, number> = {}) => ({
  ...{ round: number, loss: 1, metrics, score: null, seconds: 2, phases: {} },
  bytesUp: sites.reduce((sum, [, up]) => sum + up, 0),
  bytesDown: sites.reduce((sum, [, , down]) => sum + down, 0),
  cohort: sites.map(([name]) => name),
  sites: sites.map(([name, bytesUp, bytesDown]) => ({ name, bytesUp, bytesDown })),
});
const history = [
  round(0, [
    ['north', 10, 20],
    ['south', 5, 5],
  ]),
  round(1, [['south', 50, 1]], { heldOutLoss: 2 }),
];

test('bytes and seconds of all rounds are summed', () => {
  expect(totals(history)).toEqual({ up: 65, down: 26, seconds: 4 });
  expect(totals([])).toEqual({ up: 0, down: 0, seconds: 0 });
});

test('sites are compared over all rounds, also where one of them missed some', () => {
  expect(bytesBySite(history)).toEqual([
    { name: 'south', up: 55, down: 6 },
    { name: 'north', up: 10, down: 20 },
  ]);
});

test('a round without a number leaves a gap in its curve', () => {
  expect(curves(history, ({ metrics }) => metrics)).toEqual([{ name: 'heldOutLoss', values: [null, 2] }]);
});

test('bytes are written in the unit of the largest', () => {
  expect(unitOf([]).name).toBe('kB');
  expect(unitOf([999_999, 5]).name).toBe('kB');
  expect(unitOf([5, 1e6]).name).toBe('MB');
  expect(unitOf([2e9, 1e6])).toEqual({ name: 'GB', bytes: 1e9 });
});

describe('how far a run is', () => {
  const at = (state: Parameters<typeof roundsDone>[1][number]['state'], step: number | null = null) => ({
    ...{ state, step, steps: step === null ? null : 8 },
  });
  const collecting = { round: 2, phase: 'collecting' };

  it('is nowhere before the first round', () => {
    expect(roundsDone({ round: null, phase: 'approving' }, [at('approved')])).toBe(0);
  });

  it('moves with the mean of the steps of the sites in the round', () => {
    expect(roundsDone(collecting, [at('training', 4), at('training', 2)])).toBe(2 + (4 + 2) / 16);
    expect(roundsDone(collecting, [at('sent'), at('sending'), at('training', 0), at('fetching')])).toBe(2.5);
    expect(roundsDone({ ...collecting, phase: 'waiting' }, [at('sent'), at('away')])).toBe(2.5);
  });

  it('does not wait for who is no part of the round', () => {
    const others = [
      at('declined'),
      at('not-drawn'),
      at('refused'),
      at('excluded'),
      at('asked'),
      at('revoked'),
    ];
    expect(roundsDone(collecting, [at('training', 4), ...others])).toBe(2.5);
    expect(roundsDone(collecting, others)).toBe(2);
  });

  it.each(['closing', 'scoring', 'holding'])('has the whole round behind it while it is %s', (phase) => {
    expect(roundsDone({ round: 2, phase }, [at('scoring'), at('approved'), at('away')])).toBe(3);
  });
});
