/**
 * @file What sites receive after a round: the new adapter and, for SCAFFOLD, the new control variate, each as a whole
 * float32 file and, where that is shorter, as a delta to the one of the round.
 */

import type { StateTensors } from '../federation/aggregation.ts';
import type { BlobStore } from '../federation/blobs.ts';
import { encodeBroadcast } from '../federation/broadcast.ts';
import type { Published } from '../federation/broadcast.ts';
import { readTensors } from '../federation/codec.ts';
import { encodeStep, NUMBER_FORMATS } from '../federation/number-formats.ts';
import type { Codec } from '../federation/number-formats.ts';
import type { BlobReference } from '../federation/shapes.ts';
import { draftTensorFile } from '../federation/tensor-file.ts';
import { openTensorWriter, putTensors, WIRE_METADATA } from '../federation/tensor-writer.ts';
import { travelling } from '../federation/update.ts';
import type { UpdateForm } from '../federation/update.ts';
import type { NamedTensors } from '../model/tensor.ts';

/** A tensor after the strategy has changed it. */
export interface ChangedTensor {
  readonly name: string;
  /** As the sites hold it. */
  readonly from: Float32Array;
  /** The hub's, in float64. */
  readonly weights: Float64Array;
  /** What the codec has left out of the broadcasts before; null where that is nothing. */
  readonly rest: Float32Array | null;
}

export interface WeightsPublication {
  /** The next tensor in the order of the base. */
  append(tensor: ChangedTensor): void;
  /** `rest` is the blob of what the codec has left out, where it leaves out anything. */
  finish(): Promise<{ readonly base: Published; readonly rest: BlobReference | null }>;
  abandon(): Promise<void>;
}

/**
 * Publishes the weights tensor by tensor. With a codec that rounds, what the sites then hold becomes the hub's weights,
 * and what is missing is added to the next broadcast: error feedback, as at the sites. It is kept in float32, for it is
 * at most half a code of a step.
 */
export async function publishWeights(
  blobs: BlobStore,
  { codec, shared }: UpdateForm,
  from: { readonly reference: BlobReference; readonly tensors: NamedTensors },
): Promise<WeightsPublication> {
  const { tensors } = from;
  const moving = travelling(tensors, shared);
  const hasDelta = codec !== 'f32' || shared !== 'both';
  const draft = hasDelta ? draftTensorFile(codec, moving) : null;
  const whole = await openTensorWriter(blobs, tensors, {
    dtype: 'F32',
    metadata: WIRE_METADATA,
    toSend: !hasDelta,
  });
  const rests =
    codec === 'f32' ? null : await openTensorWriter(blobs, tensors, { dtype: 'F32', metadata: null });
  return {
    append: ({ name, from: before, weights, rest }) => {
      if (!moving.has(name)) {
        whole.append(codec === 'f32' ? Float32Array.from(weights) : before);
        rests?.append(rest ?? new Float32Array(before.length));
        return;
      }
      const reached = new Float32Array(before.length);
      const left = rest ?? new Float32Array(before.length);
      if (codec === 'f32') {
        reached.set(weights);
        if (draft !== null) NUMBER_FORMATS.f32.encodeInto(reached, draft.place(name));
      } else if (draft !== null) {
        encodeStep(codec, { base: before, target: weights, reached, left }, draft.place(name));
      }
      whole.append(reached);
      rests?.append(left);
    },
    finish: async () => {
      const [published, left, delta] = await Promise.all([
        whole.finish(),
        rests?.finish() ?? null,
        draft && blobs.put(draft.bytes, { toSend: true }),
      ]);
      const { hash } = from.reference;
      return { base: { ...published, ...(delta && { delta: { from: hash, ...delta } }) }, rest: left };
    },
    abandon: async () => {
      await whole.abandon();
      await rests?.abandon();
    },
  };
}

/**
 * Publishes the control variate, of the matrices that are trained. The state keeps it whole, so that a change that
 * rounding has left out is part of the next delta.
 */
export async function publishControl(
  blobs: BlobStore,
  codec: Codec,
  { from, moved }: { readonly from: BlobReference | null; readonly moved: StateTensors },
): Promise<Published> {
  if (from !== null) await blobs.require(from.hash);
  const before = codec === 'f32' || from === null ? null : readTensors(blobs.path(from.hash));
  const { delta, tensors } = encodeBroadcast(codec, before, moved);
  const whole = await putTensors(blobs, tensors, { toSend: codec === 'f32' });
  if (codec === 'f32') return whole;
  const sent = await blobs.put(delta, { toSend: true });
  return { ...whole, delta: { from: from?.hash ?? null, ...sent } };
}
