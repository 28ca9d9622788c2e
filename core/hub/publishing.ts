/**
 * @file What sites receive after a round: the new adapter and, for SCAFFOLD, the new control variate, each as a whole
 * float32 file and, where that is shorter, as a delta to the one of the round.
 */

import type { ServerState, StateTensors } from '../federation/aggregation.ts';
import type { BlobStore } from '../federation/blobs.ts';
import { encodeBroadcast } from '../federation/broadcast.ts';
import type { Published } from '../federation/broadcast.ts';
import { encodeTensors, readTensors, toWire } from '../federation/codec.ts';
import type { BlobReference } from '../federation/shapes.ts';
import { travelling } from '../federation/update.ts';
import type { UpdateForm } from '../federation/update.ts';
import type { NamedTensors } from '../model/tensor.ts';

interface Publication {
  readonly blobs: BlobStore;
  readonly form: UpdateForm;
  /** After the strategy has changed it. */
  readonly state: ServerState & { readonly rest: StateTensors | null };
}

/**
 * Publishes the weights. With a codec that rounds, the weights of the state become what the sites then hold, and what
 * is missing is added to the next broadcast: error feedback, as at the sites.
 */
export async function publishWeights({
  blobs,
  form: { codec, shared },
  state: { weights, rest },
  from,
}: Publication & {
  readonly from: { readonly reference: BlobReference; readonly tensors: NamedTensors };
}): Promise<{ base: Published; rest: StateTensors | null }> {
  const { hash } = from.reference;
  const moved = travelling(weights, shared);
  if (codec === 'f32') {
    const whole = await blobs.put(encodeTensors(toWire(weights)));
    if (shared === 'both') return { base: whole, rest: null };
    const { delta } = encodeBroadcast(codec, from.tensors, moved);
    return { base: { ...whole, delta: { from: hash, ...(await blobs.put(delta)) } }, rest: null };
  }
  const target = new Map(
    [...moved].map(([name, { shape, data }]) => {
      const missing = rest?.get(name)?.data;
      return [name, { shape, data: data.map((value, i) => value + (missing?.[i] ?? 0)) }];
    }),
  );
  const { delta, tensors } = encodeBroadcast(codec, from.tensors, target);
  const left = new Map(rest ?? []);
  for (const [name, { shape, data }] of target) {
    const held = Float64Array.from(tensors.get(name)?.data ?? []);
    weights.get(name)?.data.set(held);
    left.set(name, { shape, data: data.map((value, i) => value - held[i]) });
  }
  const whole = await blobs.put(encodeTensors(tensors));
  return { base: { ...whole, delta: { from: hash, ...(await blobs.put(delta)) } }, rest: left };
}

/**
 * Publishes the control variate, of the matrices that are trained. The state keeps it whole, so that a change that
 * rounding has left out is part of the next delta.
 */
export async function publishControl({
  blobs,
  form: { codec, shared },
  state,
  from,
}: Publication & { readonly from: BlobReference | null }): Promise<Published> {
  const moved = travelling(state.moments.c, shared);
  if (codec === 'f32') return blobs.put(encodeTensors(toWire(moved)));
  if (from !== null) await blobs.describe(from.hash);
  const before = from && readTensors(blobs.path(from.hash));
  const { delta, tensors } = encodeBroadcast(codec, before, moved);
  const whole = await blobs.put(encodeTensors(tensors));
  return { ...whole, delta: { from: from?.hash ?? null, ...(await blobs.put(delta)) } };
}
