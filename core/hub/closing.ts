/** @file The aggregate of a round, computed from what lies on disk: the same bytes however often it is done. */

import { createAccumulator, initialState, toState } from '../federation/aggregation.ts';
import type { ServerState, StateTensors } from '../federation/aggregation.ts';
import type { BlobStore } from '../federation/blobs.ts';
import { encodeBroadcast } from '../federation/broadcast.ts';
import type { Published } from '../federation/broadcast.ts';
import { decodeState, encodeState, encodeTensors, readTensors } from '../federation/codec.ts';
import type { Plan } from '../federation/plan.ts';
import type { Strategy } from '../federation/strategies/strategy.ts';
import { clientOf, STRATEGIES } from '../federation/strategies/table.ts';
import { openUpdate, travelling, updateForm } from '../federation/update.ts';
import { toTributaryError } from '../errors.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { publishControl, publishWeights } from './publishing.ts';
import type { Contribution, RoundRecord } from './records.ts';

export interface RoundStart {
  /** Float32 adapter that the sites train from. */
  readonly base: Published;
  /** The control variate that sites receive with it, in float32; null while it is zero and where there is none. */
  readonly control: Published | null;
  /** Float64 blobs: `weights`, the strategy's moments, and what the codec has left out of the broadcasts. */
  readonly state: Readonly<Record<string, string>>;
}

/**
 * The state before round 0, on disk. A fresh adapter is random, so that a codec may round it: all begin with what is
 * left of it. One that the plan names is sent as it is.
 */
export async function writeInitialState(
  blobs: BlobStore,
  plan: Plan,
  adapter: NamedTensors,
  strategy = strategyOf(plan),
): Promise<RoundStart> {
  const { codec } = plan.federation;
  const rounded =
    codec === 'f32' || plan.adapter.start !== undefined
      ? null
      : encodeBroadcast(codec, null, toState(adapter));
  const tensors = rounded?.tensors ?? adapter;
  const delta = rounded && { from: null, ...(await blobs.put(rounded.delta)) };
  const state = initialState(strategy, toState(tensors));
  const base = { ...(await blobs.put(encodeTensors(tensors))), ...(delta && { delta }) };
  return { base, control: null, state: await writeState(blobs, { ...state, rest: null }) };
}

export interface CloseOptions {
  readonly blobs: BlobStore;
  readonly plan: Plan;
  readonly round: Pick<RoundRecord, 'number' | 'base' | 'control' | 'state'>;
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
  const form = updateForm(plan, round.number);
  const accumulator = createAccumulator(strategy, travelling(base, form.shared));
  let lossSum = 0;
  let examplesSum = 0;
  const inOrder = [...contributions].sort((a, b) => (a.site < b.site ? -1 : 1));
  for (const contribution of inOrder) {
    const { hash, examples, loss } = contribution;
    const weight = examples ?? 0;
    try {
      await blobs.describe(hash);
      const update = openUpdate(blobs.path(hash), base, form);
      try {
        accumulator.add({ parts: update.parts, examples: weight });
      } finally {
        update.close();
      }
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
  const published = { blobs, form, state };
  const next = await publishWeights({ ...published, from: { reference: round.base, tensors: base } });
  const isSteered = clientOf(plan.federation.strategy) === 'control-variates';
  const control = isSteered ? await publishControl({ ...published, from: round.control }) : null;
  return {
    start: { base: next.base, control, state: await writeState(blobs, { ...state, rest: next.rest }) },
    loss: lossSum / examplesSum,
  };
}

function strategyOf(plan: Plan): Strategy {
  const { strategy } = plan.federation;
  return STRATEGIES[strategy.name].create(strategy);
}

/** The state of a run on disk: what strategies know of, and what the codec has left out of the broadcasts. */
interface StoredState extends ServerState {
  readonly rest: StateTensors | null;
}

/** Its name among those of the state; no moment has a dash in its name. */
const REST = 'codec-rest';

async function writeState(blobs: BlobStore, state: StoredState): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  const { moments, weights, rest } = state;
  for (const [name, tensors] of Object.entries({ ...moments, weights, ...(rest && { [REST]: rest }) })) {
    hashes[name] = (await blobs.put(encodeState(tensors))).hash;
  }
  return hashes;
}

async function readState(blobs: BlobStore, hashes: Readonly<Record<string, string>>): Promise<StoredState> {
  const { weights, [REST]: rest, ...names } = hashes;
  const read = async (hash: string): Promise<StateTensors> => decodeState(await blobs.read(hash));
  const moments: Record<string, StateTensors> = {};
  for (const [name, hash] of Object.entries(names)) moments[name] = await read(hash);
  return { weights: await read(weights), moments, rest: rest === undefined ? null : await read(rest) };
}
