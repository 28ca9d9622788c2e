/**
 * @file What a site sends of a trained round, and what it carries into its next one: SCAFFOLD's control variate of
 * the site, what rounding has left out of its updates, its adapter where it trains alone, and its matrices B where the
 * plan lets it keep them. All of it counts once the update does.
 */

import type { Plan } from '../federation/plan.ts';
import { clientOf } from '../federation/strategies/table.ts';
import { travelling, updateForm, writeUpdate } from '../federation/update.ts';
import type { UpdateParts } from '../federation/update.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { RoundRequest, RoundResult } from './trainer.ts';

/** What the last round that counted has left. */
export interface CarriedTensors {
  /** c_k; absent while it is zero, and where the strategy has none. */
  readonly control?: NamedTensors;
  /** What rounding has left out; absent before the first update, and where the codec leaves out nothing. */
  readonly rest?: NamedTensors;
  /** The site's own adapter, where it trains alone. */
  readonly adapter?: NamedTensors;
  /** What the site keeps for itself of an adapter whose other matrices are shared. */
  readonly own?: NamedTensors;
}

/** The adapter at a site: what the hub has published, with what the site keeps for itself. */
export function adapterAtSite(published: NamedTensors, { adapter, own }: CarriedTensors): NamedTensors {
  return adapter ?? new Map([...published, ...(own ?? [])]);
}

/**
 * The control variates that a round starts from, or null where the strategy has none.
 * @param hub c as the hub has published it; null while it is zero
 */
export function controlsOf(
  { federation }: Plan,
  { base, hub, carried }: { base: NamedTensors; hub: NamedTensors | null; carried: CarriedTensors },
): RoundRequest['controls'] {
  if (clientOf(federation.strategy) !== 'control-variates') return null;
  const zeros = zerosLike(base);
  return { hub: completed(hub ?? zeros, zeros), site: completed(carried.control ?? zeros, zeros) };
}

export interface TrainedRound {
  readonly round: number;
  readonly base: NamedTensors;
  readonly controls: RoundRequest['controls'];
  readonly carried: CarriedTensors;
  readonly trained: RoundResult;
}

/**
 * The bytes of the update and what follows from them. The site's control variate moves by what the hub hears of the
 * change, not by what was computed, so that c stays the mean of all c_k whatever the codec rounds; what was rounded
 * away is part of the next change.
 */
export function outcomeOf(
  plan: Plan,
  { round, base, controls, carried, trained }: TrainedRound,
): { readonly bytes: Uint8Array; readonly carried: CarriedTensors } {
  const form = updateForm(plan, round);
  const parts: Record<string, NamedTensors> = { weights: trained.adapter };
  if (controls !== null) parts.control = required(trained.controls).change;
  const { bytes, heard, rest } = writeUpdate(form, { parts, base, rest: carried.rest ?? null });
  if (clientOf(plan.federation.strategy) === 'alone') return { bytes, carried: { adapter: trained.adapter } };
  const control = controls && nextControl(controls.site, { form, trained, heard });
  const own = ownOf(plan, trained.adapter);
  return { bytes, carried: { ...(control && { control }), ...(rest && { rest }), ...(own && { own }) } };
}

function ownOf({ adapter }: Plan, trained: NamedTensors): NamedTensors | null {
  return adapter.variant === 'fedsa' ? travelling(trained, 'B') : null;
}

function nextControl(
  before: NamedTensors,
  { form, trained, heard }: { form: { codec: string }; trained: RoundResult; heard: UpdateParts },
): NamedTensors {
  // Where a matrix rests its control variate does too.
  if (form.codec === 'f32') return completed(required(trained.controls).site, before);
  return new Map(
    [...before].map(([name, { shape, data }]) => {
      const change = heard.control.get(name)?.data;
      return [name, { shape, data: data.map((value, i) => value + (change?.[i] ?? 0)) }];
    }),
  );
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('The training gave no control variates.');
  return value;
}

function completed(tensors: NamedTensors, all: NamedTensors): NamedTensors {
  return new Map([...all].map(([name, tensor]) => [name, tensors.get(name) ?? tensor]));
}

function zerosLike(tensors: NamedTensors): NamedTensors {
  return new Map(
    [...tensors].map(([name, { shape, data }]) => [name, { shape, data: new Float32Array(data.length) }]),
  );
}
