/** @file What a plan puts on the wire, before anything is sent: the plan and the model's dimensions decide all of it. */

import { loraShapes } from '../model/lora.ts';
import type { ModelConfiguration } from '../model/configuration.ts';
import type { Plan } from './plan-schema.ts';
import { tensorFileSize } from './tensor-file.ts';
import { clientOf } from './strategies/table.ts';
import { nameIn, travelling, updateForm } from './update.ts';
import type { Shapes } from './update.ts';

/** Bytes of tensors of one site: `up` is what it sends, `down` what it fetches. The frames around them are not counted. */
export interface SiteBytes {
  readonly up: number;
  readonly down: number;
}

/** What a site that took part in the round before moves in a round, from 0. */
export function bytesOfRound(plan: Plan, configuration: ModelConfiguration, round: number): SiteBytes {
  const shapes: Shapes = new Map(
    loraShapes(configuration, plan.adapter).map(({ name, shape }) => [name, { shape }]),
  );
  const { codec, parts, shared } = updateForm(plan, round);
  const moving = travelling(shapes, shared);
  const update = parts.flatMap((part) =>
    [...moving].map(([name, entry]) => [nameIn(part, name), entry] as const),
  );
  const up = parts.length === 0 ? 0 : tensorFileSize(codec, update);
  // Where sites go on from their own adapters, that of the hub is fetched once.
  if (clientOf(plan.federation.strategy) === 'alone' && round > 0) return { up, down: 0 };
  return { up, down: tensorFileSize(codec, baseOf(plan, shapes, round)) + controlBytes(plan, shapes, round) };
}

/** What a site fetches at the end of the run. */
export function bytesOfEnd(plan: Plan, configuration: ModelConfiguration): number {
  return bytesOfRound(plan, configuration, plan.federation.rounds).down;
}

/** The first base is fetched whole, a later one as far as the round before has changed it. */
function baseOf(plan: Plan, shapes: Shapes, round: number): Shapes {
  return round === 0 ? shapes : travelling(shapes, updateForm(plan, round - 1).shared);
}

/** SCAFFOLD's control variate, which is zero before the first round. */
function controlBytes(plan: Plan, shapes: Shapes, round: number): number {
  if (clientOf(plan.federation.strategy) !== 'control-variates' || round === 0) return 0;
  return tensorFileSize(plan.federation.codec, baseOf(plan, shapes, round));
}
