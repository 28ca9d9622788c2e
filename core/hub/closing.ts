/** @file The aggregate of a round, computed from what lies on disk: the same bytes however often it is done. */

import { setImmediate as breathe } from 'node:timers/promises';
import { createAccumulator, toState } from '../federation/aggregation.ts';
import type { Contribution as Addends, StateTensor } from '../federation/aggregation.ts';
import type { BlobStore } from '../federation/blobs.ts';
import { encodeBroadcast } from '../federation/broadcast.ts';
import type { Published } from '../federation/broadcast.ts';
import { openTensors } from '../federation/codec.ts';
import type { Plan } from '../federation/plan.ts';
import type { Strategy } from '../federation/strategies/strategy.ts';
import { clientOf, STRATEGIES } from '../federation/strategies/table.ts';
import { putTensors } from '../federation/tensor-writer.ts';
import { updateForm } from '../federation/update.ts';
import type { OpenUpdate, UpdateForm } from '../federation/update.ts';
import { toTributaryError } from '../errors.ts';
import { isTrainable } from '../model/lora.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { openContribution, weightOf } from './late.ts';
import { publishControl, publishWeights } from './publishing.ts';
import type { Contribution, RoundRecord } from './records.ts';
import { openRoundState, REST, writeRoundState } from './round-state.ts';

export interface RoundStart {
  /** Float32 adapter that the sites train from. */
  readonly base: Published;
  /** The control variate that sites receive with it, in float32; null while it is zero and where there is none. */
  readonly control: Published | null;
  /** Blobs by name: see `round-state.ts`. */
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
  const delta = rounded && { from: null, ...(await blobs.put(rounded.delta, { toSend: true })) };
  const whole = await putTensors(blobs, tensors, { toSend: delta === null });
  const base = { ...whole, ...(delta && { delta }) };
  const states = await writeRoundState(blobs, { codec, strategy, shapes: tensors });
  for (const { data } of tensors.values()) {
    const moments = Object.fromEntries(
      Object.entries(strategy.moments).map(([name, value]) => [
        name,
        new Float64Array(data.length).fill(value),
      ]),
    );
    states.append({ weights: Float64Array.from(data), moments });
  }
  return { base, control: null, state: await states.finish() };
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
 * Sums the cohort's updates in float64 in the order of the sites' names and applies the strategy, tensor by tensor: in
 * memory are the numbers of one tensor and the delta. Everything it returns is on disk.
 */
export async function computeAggregate(options: CloseOptions): Promise<CloseResult> {
  const { blobs, plan, round, members } = options;
  const { strategy = strategyOf(plan) } = options;
  const contributions = [...options.contributions].sort((a, b) => (a.site < b.site ? -1 : 1));
  const form = updateForm(plan, round.number);
  await blobs.require(round.base.hash);
  const base = openTensors(blobs.path(round.base.hash));
  const updates: Open[] = [];
  try {
    for (const contribution of contributions) {
      const opened = await openOrLose(blobs, contribution, { base: base.tensors, plan, round: round.number });
      if ('lost' in opened) return opened;
      updates.push(opened);
    }
    const work = { ...options, strategy, form, base: base.tensors, updates, members };
    return { start: await closeTensors(work), loss: meanLoss(contributions, plan) };
  } catch (thrown) {
    if (thrown instanceof LostUpdate) return thrown.result;
    throw thrown;
  } finally {
    for (const { update } of updates) update.close();
    base.close();
  }
}

/** A contribution whose file is open and verified. */
interface Open {
  readonly contribution: Contribution;
  readonly update: OpenUpdate;
}
type Lost = Extract<CloseResult, { lost: unknown }>;

/** Ends a closing in the middle because an update can no longer be read. */
class LostUpdate extends Error {
  readonly result: Lost;
  constructor(result: Lost) {
    super(result.reason);
    this.result = result;
  }
}

async function openOrLose(
  blobs: BlobStore,
  contribution: Contribution,
  into: { base: NamedTensors; plan: Plan; round: number },
): Promise<Open | Lost> {
  try {
    return { contribution, update: await openContribution(blobs, contribution, into) };
  } catch (thrown) {
    return lostOf(contribution, thrown);
  }
}

/** The update that can no longer be read; throws what has other causes. */
function lostOf(contribution: Contribution, thrown: unknown): Lost {
  const { code, message } = toTributaryError(thrown);
  if (!/^(blob|update)\./.test(code)) throw thrown;
  return { lost: contribution, reason: message };
}

interface Closing extends Omit<CloseOptions, 'strategy'> {
  readonly strategy: Strategy;
  readonly form: UpdateForm;
  readonly base: NamedTensors;
  readonly updates: readonly Open[];
}

/** Numbers that are summed before heartbeats and answers have their turn. */
const BREATH = 2 ** 23;

async function closeTensors(work: Closing): Promise<RoundStart> {
  const { blobs, plan, round, members, strategy, form, base, updates } = work;
  const { codec } = form;
  const before = await openRoundState(blobs, round.state);
  const published = await publishWeights(blobs, form, { reference: round.base, tensors: base });
  const after = await writeRoundState(blobs, { codec, strategy, shapes: base });
  const isSteered = clientOf(plan.federation.strategy) === 'control-variates';
  const controls = new Map<string, StateTensor>();
  const addends = updates.map((open) => addendOf(open, plan));
  let unbroken = 0;
  try {
    for (const [name, { shape, data: from }] of base) {
      const { weights, moments, rest } = before.read(name, from);
      if (isTrainable(name, form.shared)) {
        const accumulator = createAccumulator(strategy, new Map([[name, { data: from }]]));
        accumulator.add(...addends);
        const state = {
          weights: new Map([[name, { shape, data: weights }]]),
          moments: Object.fromEntries(
            Object.entries(moments).map(([moment, data]) => [moment, new Map([[name, { shape, data }]])]),
          ),
        };
        accumulator.finish(state, { first: round.number === 0, members });
        if (isSteered) controls.set(name, { shape, data: moments.c });
      }
      after.append({ weights, moments });
      published.append({ name, from, weights, rest });
      unbroken += from.length * (1 + updates.length);
      if (unbroken < BREATH) continue;
      unbroken = 0;
      await breathe();
    }
    const [next, state] = await Promise.all([published.finish(), after.finish()]);
    const control = isSteered
      ? await publishControl(blobs, codec, { from: round.control, moved: controls })
      : null;
    return { base: next.base, control, state: { ...state, ...(next.rest && { [REST]: next.rest.hash }) } };
  } catch (error) {
    await published.abandon();
    await after.abandon();
    throw error;
  } finally {
    before.close();
  }
}

/** What a contribution adds to the sums. */
function addendOf({ contribution, update }: Open, plan: Plan): Addends {
  const parts = Object.entries(update.parts).map(([part, tensors]) => {
    const get = (name: string): ReturnType<typeof tensors.get> => {
      try {
        return tensors.get(name);
      } catch (thrown) {
        throw new LostUpdate(lostOf(contribution, thrown));
      }
    };
    return [part, { get }] as const;
  });
  return { parts: Object.fromEntries(parts), examples: weightOf(contribution, plan) };
}

/** Mean of the losses, weighted as the updates are. */
function meanLoss(contributions: readonly Contribution[], plan: Plan): number {
  let losses = 0;
  let total = 0;
  for (const contribution of contributions) {
    const weight = weightOf(contribution, plan);
    losses += weight * (contribution.loss ?? 0);
    total += weight;
  }
  return losses / total;
}

function strategyOf(plan: Plan): Strategy {
  const { strategy } = plan.federation;
  return STRATEGIES[strategy.name].create(strategy);
}
