/** @file The aggregate of a round, computed from what lies on disk: the same bytes however often it is done. */

import { createAccumulator, initialState, toState } from '../federation/aggregation.ts';
import type { ServerState, StateTensors } from '../federation/aggregation.ts';
import type { BlobStore } from '../federation/blobs.ts';
import {
  decodeState,
  encodeState,
  encodeTensors,
  readTensors,
  readUpdate,
  toWire,
} from '../federation/codec.ts';
import type { Plan } from '../federation/plan.ts';
import type { BlobReference } from '../federation/shapes.ts';
import type { Strategy } from '../federation/strategies/strategy.ts';
import { clientOf, partsOf, STRATEGIES } from '../federation/strategies/table.ts';
import { toTributaryError } from '../errors.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { Contribution, RoundRecord } from './records.ts';

export interface RoundStart {
  /** Float32 adapter that the sites train from. */
  readonly base: BlobReference;
  /** The control variate that sites receive with it, in float32; null while it is zero and where there is none. */
  readonly control: BlobReference | null;
  /** Float64 blobs: `weights` and the strategy's moments. */
  readonly state: Readonly<Record<string, string>>;
}

/** The state before round 0, on disk. */
export async function writeInitialState(
  blobs: BlobStore,
  plan: Plan,
  adapter: NamedTensors,
  strategy: Strategy = strategyOf(plan),
): Promise<RoundStart> {
  const state = initialState(strategy, toState(adapter));
  const base = await blobs.put(encodeTensors(adapter));
  return { base, control: null, state: await writeState(blobs, state) };
}

export interface CloseOptions {
  readonly blobs: BlobStore;
  readonly plan: Plan;
  readonly round: RoundRecord;
  /** The committed updates of the cohort. */
  readonly contributions: readonly Contribution[];
  /** Sites of the run, in this cohort or not. */
  readonly members: number;
  /** In place of the plan's, for what a simulation tries; it sums the same parts. */
  readonly strategy?: Strategy;
}

/** The next round's start with the loss of this one, or the update that can no longer be read. */
export type CloseResult =
  | { readonly start: RoundStart; readonly loss: number }
  | { readonly lost: Contribution; readonly reason: string };

/**
 * Sums the cohort's updates in float64 in the order of the sites' names and applies the strategy. Holds one update
 * at a time. Everything it returns is on disk.
 */
export async function computeAggregate(options: CloseOptions): Promise<CloseResult> {
  const { blobs, plan, round, contributions, members } = options;
  const { strategy = strategyOf(plan) } = options;
  await blobs.describe(round.base.hash);
  const base = readTensors(blobs.path(round.base.hash));
  const parts = partsOf(plan.federation.strategy);
  const accumulator = createAccumulator(strategy, base);
  let lossSum = 0;
  let examplesSum = 0;
  const inOrder = [...contributions].sort((a, b) => (a.site < b.site ? -1 : 1));
  for (const contribution of inOrder) {
    const { hash, examples, loss } = contribution;
    const weight = examples ?? 0;
    try {
      await blobs.describe(hash);
      accumulator.add({ parts: readUpdate(blobs.path(hash), base, parts), examples: weight });
    } catch (thrown) {
      const { code, message } = toTributaryError(thrown);
      if (!/^(blob|update)\./.test(code)) throw thrown;
      return { lost: contribution, reason: message };
    }
    lossSum += weight * (loss ?? 0);
    examplesSum += weight;
  }
  const state = await readState(blobs, round.state);
  accumulator.finish(state, { first: round.number === 0, members });
  const aggregate = await blobs.put(encodeTensors(toWire(state.weights)));
  const isSteered = clientOf(plan.federation.strategy) === 'control-variates';
  const control = isSteered ? await blobs.put(encodeTensors(toWire(state.moments.c))) : null;
  return {
    start: { base: aggregate, control, state: await writeState(blobs, state) },
    loss: lossSum / examplesSum,
  };
}

function strategyOf(plan: Plan): Strategy {
  const { strategy } = plan.federation;
  return STRATEGIES[strategy.name].create(strategy);
}

async function writeState(blobs: BlobStore, state: ServerState): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const [name, tensors] of Object.entries({ ...state.moments, weights: state.weights })) {
    hashes[name] = (await blobs.put(encodeState(tensors))).hash;
  }
  return hashes;
}

async function readState(blobs: BlobStore, hashes: Readonly<Record<string, string>>): Promise<ServerState> {
  const { weights, ...names } = hashes;
  const moments: Record<string, StateTensors> = {};
  for (const [name, hash] of Object.entries(names)) moments[name] = decodeState(await blobs.read(hash));
  return { weights: decodeState(await blobs.read(weights)), moments };
}
