/** @file Sums updates one by one in float64 and lets the strategy turn the sums into the next model. */

import { addScaledCodes } from './number-formats.ts';
import type { EncodedNumbers, WeightedCodes } from './number-formats.ts';
import type { PartSum, Strategy } from './strategies/strategy.ts';

/** A tensor of the hub's state. The wire carries float32, the state does not, so small server steps add up. */
export interface StateTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}
export type StateTensors = ReadonlyMap<string, StateTensor>;

/** Values of any precision by tensor name: what a site sends, or what it started from. */
export type Values = ReadonlyMap<string, { readonly data: Float32Array | Float64Array }>;

/** A tensor of an update: its numbers, or codes of what it differs by from what the round started from. */
export type Addend = { readonly data: Float32Array | Float64Array } | { readonly difference: EncodedNumbers };

/** Everything the hub carries from round to round. */
export interface ServerState {
  readonly weights: StateTensors;
  /** The strategy's moments by name; each has the tensors of the weights. */
  readonly moments: Readonly<Record<string, StateTensors>>;
}

/** What one site contributes: values for each part of the strategy, and its number of training examples. */
export interface Contribution {
  /** Asked for each tensor once, so that an update need not be in memory as a whole. */
  readonly parts: Readonly<Record<string, { get(tensor: string): Addend | undefined }>>;
  readonly examples: number;
}

export interface Accumulator {
  /**
   * Adds updates. Sums depend on the order in float64's last bits: they come in the order of the sites' names, in one
   * call or several. Of several in one call the numbers of a tensor have to last until all of them are added.
   */
  add(...contributions: readonly Contribution[]): void;
  /** Applies the strategy to the tensors of `state` that were summed, in place. `members`: sites of the run, whether in this cohort or not. */
  finish(state: ServerState, round: { first: boolean; members: number }): void;
}

/** The state before the first round: given weights, moments at their initial value. */
export function initialState(strategy: Strategy, weights: StateTensors): ServerState {
  const moments: Record<string, StateTensors> = {};
  for (const [name, value] of Object.entries(strategy.moments)) moments[name] = filledLike(weights, value);
  return { weights, moments };
}

/**
 * Starts the sums of one round. Needs one float64 copy of the adapter per part, however many updates are added.
 * `base` holds the weights that the round was started from, as the sites received them, of the tensors to be summed.
 */
export function createAccumulator(strategy: Strategy, base: Values): Accumulator {
  const sums = Object.entries(strategy.parts).map(([name, part]) => ({
    name,
    part,
    total: 0,
    /** Weight of what came as a difference and lacks what the round started from. */
    lacking: 0,
    tensors: new Map([...base].map(([tensor, { data }]) => [tensor, new Float64Array(data.length)])),
  }));
  return {
    add(...contributions) {
      for (const row of sums) {
        const weightOf = ({ examples }: Contribution): number =>
          row.part.weighting === 'examples' ? examples : 1;
        const differing = new Set<Contribution>();
        for (const [name, sum] of row.tensors) {
          /** Those that are next to be added. */
          const codes: WeightedCodes[] = [];
          for (const contribution of contributions) {
            const weight = weightOf(contribution);
            const addend = found(contribution.parts[row.name]?.get(name), name);
            if ('difference' in addend) {
              codes.push({ encoded: addend.difference, weight });
              differing.add(contribution);
              continue;
            }
            addScaledCodes(sum, codes.splice(0));
            if (row.part.of === 'values') addScaled(sum, addend.data, weight);
            else addScaledDifference(sum, addend.data, found(base.get(name), name).data, weight);
          }
          addScaledCodes(sum, codes);
        }
        for (const contribution of contributions) {
          row.total += weightOf(contribution);
          if (differing.has(contribution) && row.part.of === 'values') row.lacking += weightOf(contribution);
        }
      }
    },
    finish(state, { first, members }) {
      for (const [name, { data }] of state.weights) {
        if (!base.has(name)) continue;
        const parts: Record<string, PartSum> = {};
        for (const row of sums) {
          const sum = found(row.tensors.get(name), name);
          if (row.lacking > 0) addScaled(sum, found(base.get(name), name).data, row.lacking);
          parts[row.name] = { sum, totalWeight: row.total };
        }
        const moments: Record<string, Float64Array> = {};
        for (const [moment, tensors] of Object.entries(state.moments)) {
          moments[moment] = found(tensors.get(name), name).data;
        }
        strategy.update({ weights: data, moments, parts, first, members });
      }
    },
  };
}

/** A copy in float64. */
export function toState(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>,
): StateTensors {
  return new Map(
    [...tensors].map(([name, { shape, data }]) => [name, { shape, data: Float64Array.from(data) }]),
  );
}

function filledLike(tensors: StateTensors, value: number): StateTensors {
  return new Map(
    [...tensors].map(([name, { shape, data }]) => [
      name,
      { shape, data: new Float64Array(data.length).fill(value) },
    ]),
  );
}

type Numbers = Float32Array | Float64Array;

function addScaled(sum: Float64Array, values: Numbers, weight: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] += weight * values[i];
}

function addScaledDifference(sum: Float64Array, values: Numbers, base: Numbers, weight: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] += weight * (values[i] - base[i]);
}

/** Updates are checked against the base before they come here, so a gap is a mistake of this program. */
function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new TypeError(`The tensor ${name} is missing from the sums.`);
  return value;
}
