/** @file Strategies against the golden file, and the properties every sum must have. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAccumulator, initialState, toState } from '../../core/federation/aggregation.ts';
import type { Addend, StateTensors } from '../../core/federation/aggregation.ts';
import { encodeNumbers } from '../../core/federation/number-formats.ts';
import { learningRateOfRound } from '../../core/federation/schedule.ts';
import { STRATEGIES } from '../../core/federation/strategies/table.ts';
import { checkAggregation } from '../golden/checks/aggregation.ts';

describe('golden vectors', () => {
  const checks = checkAggregation(new URL('../golden/aggregation.json', import.meta.url).pathname);
  it('cover seven strategies in two cases', () => expect(checks).toHaveLength(14));
  it.each(checks)('$name', (check) => expect(check).toMatchObject({ status: 'passed' }));
});

/** Values after one round of a strategy from `weights` with the given updates. */
function afterRound(
  name: 'fedavg' | 'fedavgm' | 'fedadam',
  weights: number[],
  updates: { values: number[]; examples: number }[],
): number[] {
  const strategy = STRATEGIES[name].create({ name });
  const tensor = (values: number[]): StateTensors =>
    new Map([['w', { shape: [values.length], data: Float64Array.from(values) }]]);
  const state = initialState(strategy, tensor(weights));
  const accumulator = createAccumulator(strategy, tensor(weights));
  for (const { values, examples } of updates)
    accumulator.add({ parts: { weights: tensor(values) }, examples });
  accumulator.finish(state, { first: true, members: updates.length });
  return [...(state.weights.get('w')?.data ?? [])];
}

it('the sums are the same whether updates come in one call or one by one', () => {
  const strategy = STRATEGIES.fedavg.create({ name: 'fedavg' });
  const base = new Map([['w', { shape: [300], data: new Float32Array(300).fill(0.1) }]]);
  const numbers = (seed: number): Float32Array =>
    Float32Array.from({ length: 300 }, (_, i) => Math.sin(i * seed) / 3);
  const codes = [1, 2, 3, 4].map((seed) => ({ difference: encodeNumbers('int8', numbers(seed)) }));
  const addends: Addend[] = [...codes.slice(0, 2), { data: numbers(5) }, ...codes.slice(2)];
  const contributions = addends.map((addend, at) => {
    return { parts: { weights: new Map([['w', addend]]) }, examples: 3 + at };
  });
  const weightsAfter = (groups: readonly (typeof contributions)[]): Float64Array | undefined => {
    const state = initialState(strategy, toState(base));
    const sums = createAccumulator(strategy, base);
    for (const group of groups) sums.add(...group);
    sums.finish(state, { first: true, members: 5 });
    return state.weights.get('w')?.data;
  };
  expect(weightsAfter([contributions])).toEqual(weightsAfter(contributions.map((one) => [one])));
});

describe('weighting', () => {
  it('counts examples in FedAvg', () => {
    const updates = [
      { values: [1], examples: 300 },
      { values: [5], examples: 100 },
    ];
    expect(afterRound('fedavg', [0], updates)).toEqual([2]);
  });

  it('ignores examples in the adaptive strategies', () => {
    const updates = (first: number) => [
      { values: [1], examples: first },
      { values: [5], examples: 100 },
    ];
    expect(afterRound('fedadam', [0], updates(1))).toEqual(afterRound('fedadam', [0], updates(9000)));
    expect(afterRound('fedavgm', [0], updates(1))).not.toEqual(afterRound('fedavgm', [0], updates(9000)));
  });

  it('keeps an average within the updates it is made of', () => {
    const update = fc.record({
      values: fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 3, maxLength: 3 }),
      examples: fc.integer({ min: 1, max: 1e6 }),
    });
    fc.assert(
      fc.property(fc.array(update, { minLength: 1, maxLength: 8 }), (updates) => {
        afterRound('fedavg', [0, 0, 0], updates).forEach((value, i) => {
          const column = updates.map(({ values }) => values[i]);
          expect(value).toBeGreaterThanOrEqual(Math.min(...column) - 1e-9);
          expect(value).toBeLessThanOrEqual(Math.max(...column) + 1e-9);
        });
      }),
    );
  });
});

it('leaves the first moment untouched by β1 in the first round', () => {
  expect(afterRound('fedavgm', [1], [{ values: [3], examples: 7 }])).toEqual([3]);
});

describe('the second moment', () => {
  /** v of the only weight after differences 1 and then 3. */
  function secondMoment(name: 'fedadam' | 'fedyogi' | 'fedadagrad', choice: object): number {
    const strategy = STRATEGIES[name].create({ name, ...choice });
    const tensor = (value: number): StateTensors =>
      new Map([['w', { shape: [1], data: Float64Array.of(value) }]]);
    const state = initialState(strategy, tensor(0));
    for (const [round, difference] of [1, 3].entries()) {
      const accumulator = createAccumulator(strategy, tensor(0));
      accumulator.add({ parts: { weights: tensor(difference) }, examples: 1 });
      accumulator.finish(state, { first: round === 0, members: 1 });
    }
    return state.moments.v.get('w')?.data[0] ?? NaN;
  }
  const options = { tau: 0.5, beta2: 0.75 };
  const [m, v0] = [0.5 * 1 + 0.5 * 3, 0.25];

  it('follows the squared momentum unless the plan says the squared difference', () => {
    const adam = (square: number) => 0.75 * (0.75 * v0 + 0.25 * 1) + 0.25 * square;
    expect(secondMoment('fedadam', { ...options, beta1: 0.5 })).toBe(adam(m ** 2));
    expect(secondMoment('fedadam', { ...options, beta1: 0.5, secondMoment: 'difference' })).toBe(adam(9));
    const yogi = (square: number) => v0 + 0.25 * 1 + 0.25 * square;
    expect(secondMoment('fedyogi', { ...options, beta1: 0.5 })).toBe(yogi(m ** 2));
    expect(secondMoment('fedyogi', { ...options, beta1: 0.5, secondMoment: 'difference' })).toBe(yogi(9));
    expect(secondMoment('fedadagrad', { tau: 0.5 })).toBe(v0 + 1 + 9);
  });
});

it('says which tensor an update lacks', () => {
  const strategy = STRATEGIES.fedavg.create({ name: 'fedavg' });
  const accumulator = createAccumulator(strategy, new Map([['w', { data: new Float64Array(1) }]]));
  expect(() => accumulator.add({ parts: { weights: new Map() }, examples: 1 })).toThrow(
    /tensor w is missing/,
  );
});

it('copies float32 into float64 exactly', () => {
  const state = toState(new Map([['w', { shape: [1], data: Float32Array.of(0.1) }]]));
  expect(state.get('w')?.data[0]).toBe(Math.fround(0.1));
});

describe('learning rate over the rounds', () => {
  it.each([
    [0, 5.0e-5],
    [50, 4.28241e-5],
    [100, 2.55e-5],
    [150, 8.17588e-6],
    [199, 1.00302e-6],
  ])('round %d of 200 is %d', (round, expected) => {
    const training = { learningRate: 5e-5, minLearningRate: 1e-6 };
    expect(learningRateOfRound(training, round, 200) / expected).toBeCloseTo(1, 5);
  });

  it('falls strictly from the first round to the last and stays above the minimum', () => {
    const rates = Array.from({ length: 30 }, (_, t) =>
      learningRateOfRound({ learningRate: 1e-3, minLearningRate: 1e-5 }, t, 30),
    );
    expect(rates[0]).toBe(1e-3);
    for (let t = 1; t < rates.length; t++) expect(rates[t]).toBeLessThan(rates[t - 1]);
    expect(rates[29]).toBeGreaterThan(1e-5);
  });
});
