/** @file FFA-LoRA and RoLoRA: which matrix moves in which round, at the sites and at the hub. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAccumulator, initialState, toState } from '../../core/federation/aggregation.ts';
import type { StateTensors } from '../../core/federation/aggregation.ts';
import { readPlan } from '../../core/federation/plan.ts';
import { sharedMatrices, trainableMatrices } from '../../core/federation/schedule.ts';
import { STRATEGIES } from '../../core/federation/strategies/table.ts';
import { codeOf } from '../helpers/errors.ts';

const plan = (adapter: object, rest: object = {}) =>
  readPlan(JSON.stringify({ name: 'x', model: 'tiny', adapter, ...rest }));

/** What sites receive of a state. */
const toWire = (state: StateTensors) =>
  new Map([...state].map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }]));

describe('a plan', () => {
  it('trains both matrices, and drops nothing, unless it says so', () => {
    expect(plan({}).adapter).toMatchObject({ variant: 'lora', dropout: 0, rankStabilized: false });
    const chosen = { variant: 'ffa', dropout: 0.1, rankStabilized: true };
    expect(plan(chosen).adapter).toMatchObject(chosen);
  });

  it.each(Object.keys(STRATEGIES))(
    'with turns is refused where the hub itself would move what rests: %s',
    (name) => {
      const choose = (variant: string) => () => plan({ variant }, { federation: { strategy: { name } } });
      expect(codeOf(choose('rolora'))).toBe(
        ['fedavg', 'fedprox', 'local'].includes(name) ? 'no error' : 'plan.unsupported',
      );
      expect(codeOf(choose('ffa'))).toBe('no error');
      expect(codeOf(choose('fedsa'))).toBe(
        ['scaffold', 'local'].includes(name) ? 'plan.unsupported' : 'no error',
      );
    },
  );

  it('is refused with dropout on pairs, and with dropout of everything', () => {
    expect(codeOf(() => plan({ dropout: 0.1 }, { objective: 'dpo' }))).toBe('plan.invalid');
    expect(codeOf(() => plan({ dropout: 1 }))).toBe('plan.invalid');
  });
});

it('takes B first and in turns, or B alone, or both', () => {
  const rounds = [0, 1, 2, 3];
  expect(rounds.map((round) => trainableMatrices('lora', round))).toEqual(['both', 'both', 'both', 'both']);
  expect(rounds.map((round) => trainableMatrices('ffa', round))).toEqual(['B', 'B', 'B', 'B']);
  expect(rounds.map((round) => trainableMatrices('rolora', round))).toEqual(['B', 'A', 'B', 'A']);
  expect(rounds.map((round) => trainableMatrices('fedsa', round))).toEqual(['both', 'both', 'both', 'both']);
});

it('shares what is trained, but A alone where every site keeps its own B', () => {
  const rounds = [0, 1];
  expect(rounds.map((round) => sharedMatrices('lora', round))).toEqual(['both', 'both']);
  expect(rounds.map((round) => sharedMatrices('rolora', round))).toEqual(['B', 'A']);
  expect(rounds.map((round) => sharedMatrices('fedsa', round))).toEqual(['A', 'A']);
});

describe('what no site trains', () => {
  // Without −0, which no sum keeps.
  const number = fc.float({ min: -4, max: 4, noNaN: true }).map((value) => value + 0);
  const update = fc.record({ examples: fc.integer({ min: 1, max: 1_000_000 }), change: number });

  it.each(Object.entries(STRATEGIES))(
    'leaves the hub bit for bit as it came, over several rounds of %s',
    (name, definition) => {
      const property = fc.property(
        fc.array(number, { minLength: 4, maxLength: 4 }),
        fc.array(fc.array(update, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 }),
        (values, rounds) => {
          const strategy = definition.create({ name });
          const start = new Map([
            ['A', { shape: [4], data: Float32Array.from(values) }],
            ['B', { shape: [4], data: new Float32Array(4) }],
          ]);
          const state = initialState(strategy, toState(start));
          for (const [round, updates] of rounds.entries()) {
            const base = toWire(state.weights);
            const sums = createAccumulator(strategy, base);
            const zeros = new Map([...base].map(([tensor]) => [tensor, { data: new Float32Array(4) }]));
            for (const { examples, change } of updates) {
              const weights = new Map(
                [...base].map(([tensor, { data }]) => [
                  tensor,
                  { data: tensor === 'B' ? data.map((value) => value + change) : data },
                ]),
              );
              sums.add({ parts: { weights, control: zeros }, examples });
            }
            sums.finish(state, { first: round === 0, members: 5 });
          }
          expect(toWire(state.weights).get('A')?.data).toEqual(start.get('A')?.data);
        },
      );
      fc.assert(property, { numRuns: 50 });
    },
  );
});
