/** @file aggregation.json: the state of every strategy after each round, computed in float64 by numpy. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { createAccumulator, initialState } from '../../../core/federation/aggregation.ts';
import type { StateTensor, StateTensors } from '../../../core/federation/aggregation.ts';
import type { Strategy } from '../../../core/federation/strategies/strategy.ts';
import { STRATEGIES } from '../../../core/federation/strategies/table.ts';
import type { Check } from '../check.ts';

const values = z.union([z.array(z.number()), z.array(z.array(z.number()))]);
const tensors = z.record(z.string(), values);
const goldenFile = z.object({
  cases: z.array(
    z.object({
      name: z.string(),
      num_clients: z.number(),
      n: z.array(z.number()),
      hyper: z.object({
        tau: z.number(),
        eta: z.number(),
        beta1: z.number(),
        beta2: z.number(),
        K: z.number(),
        lr: z.array(z.number()),
      }),
      w0: tensors,
      rounds: z.array(z.object({ selected: z.array(z.number()), deltas: z.record(z.string(), tensors) })),
      expected: z.record(
        z.string(),
        z.array(
          z.object({
            w: tensors,
            m: tensors.optional(),
            v: tensors.optional(),
            c: tensors.optional(),
            c_k: z.array(tensors).optional(),
          }),
        ),
      ),
    }),
  ),
});
type GoldenCase = z.infer<typeof goldenFile>['cases'][number];

/** Largest |difference| over largest |expected| of a tensor. Values are printed with 15 digits. */
const TOLERANCE = 1e-12;

/** One check for each case and strategy of the file; the detail names the first tensor that differs. */
export function checkAggregation(file: string): Check[] {
  const { cases } = goldenFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  return cases.flatMap((golden, index) =>
    Object.keys(golden.expected).map((name): Check => {
      const label = `aggregation case ${index + 1} ${name}`;
      const problem = replay(golden, name);
      return problem === null
        ? { name: label, status: 'passed' }
        : { name: label, status: 'failed', detail: problem };
    }),
  );
}

function makeStrategy(name: string, hyper: GoldenCase['hyper']): Strategy | null {
  const { eta, tau, beta1, beta2 } = hyper;
  switch (name) {
    case 'fedavg':
    case 'fedprox':
    case 'scaffold':
      return STRATEGIES[name].create({ name });
    case 'fedavgm':
      return STRATEGIES[name].create({ name, beta1 });
    case 'fedadagrad':
      return STRATEGIES[name].create({ name, eta, tau });
    case 'fedyogi':
    case 'fedadam':
      return STRATEGIES[name].create({ name, eta, tau, beta1, beta2 });
    default:
      return null;
  }
}

/** Runs a case's rounds and returns the first difference, or null. */
function replay(golden: GoldenCase, name: string): string | null {
  const strategy = makeStrategy(name, golden.hyper);
  if (strategy === null) return `there is no strategy ${name}`;
  const state = initialState(strategy, read(golden.w0));
  const clients = golden.n.map(() => map(state.weights, () => 0));
  for (const [round, { selected, deltas }] of golden.rounds.entries()) {
    const base = map(state.weights, (value) => value);
    const accumulator = createAccumulator(strategy, base);
    for (const client of selected) {
      const delta = read(deltas[client]);
      const weights = map(base, (value, tensor, i) => value + at(delta, tensor, i));
      const parts: Record<string, StateTensors> = { weights };
      if ('control' in strategy.parts) {
        // Δc_k = (w − w_k)/(K·lr) − c, since c_k⁺ − c_k = (w − w_k)/(K·lr) − (c − c_k) − c_k.
        const scale = golden.hyper.K * golden.hyper.lr[round];
        const before = clients[client];
        const after = map(
          base,
          (value, tensor, i) =>
            (value - at(weights, tensor, i)) / scale -
            (at(state.moments.c, tensor, i) - at(before, tensor, i)),
        );
        parts.control = map(after, (value, tensor, i) => value - at(before, tensor, i));
        clients[client] = after;
      }
      accumulator.add({ parts, examples: golden.n[client] });
    }
    accumulator.finish(state, { first: round === 0, members: golden.num_clients });
    const { w, c_k, ...moments } = golden.expected[name][round];
    const comparisons: [string, StateTensors, GoldenCase['w0']][] = [['w', state.weights, w]];
    for (const [moment, expected] of Object.entries(moments)) {
      comparisons.push([moment, state.moments[moment], expected]);
    }
    c_k?.forEach((expected, client) => comparisons.push([`c_${client}`, clients[client], expected]));
    for (const [label, found, expected] of comparisons) {
      const difference = largestDifference(found, read(expected));
      if (!(difference <= TOLERANCE)) return `${label} after round ${round} differs by ${difference}`;
    }
  }
  return null;
}

function read(source: GoldenCase['w0']): Map<string, StateTensor> {
  return new Map(
    Object.entries(source).map(([name, rows]) => {
      const flat = rows.flat();
      const shape = Array.isArray(rows[0]) ? [rows.length, rows[0].length] : [rows.length];
      return [name, { shape, data: Float64Array.from(flat) }];
    }),
  );
}

function at(source: StateTensors, tensor: string, index: number): number {
  return source.get(tensor)?.data[index] ?? NaN;
}

function map(
  source: StateTensors,
  change: (value: number, tensor: string, index: number) => number,
): StateTensors {
  return new Map(
    [...source].map(([name, { shape, data }]) => [
      name,
      { shape, data: data.map((value, index) => change(value, name, index)) },
    ]),
  );
}

function largestDifference(found: StateTensors, expected: StateTensors): number {
  let worst = 0;
  for (const [name, { data }] of expected) {
    const scale = data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    data.forEach((value, index) => {
      const difference = Math.abs(at(found, name, index) - value);
      worst = Math.max(worst, scale === 0 ? difference : difference / scale);
      if (Number.isNaN(difference)) worst = NaN;
    });
  }
  return worst;
}
