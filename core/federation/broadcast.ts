/**
 * @file How the tensors of one round follow from those of the round before. A site that holds the earlier ones
 * fetches a delta and makes the later ones itself; one that does not fetches them whole. Both end with the same
 * float32 file, byte for byte, and know its hash, so that a delta can never leave a site with another adapter.
 *
 * In a delta a tensor of the format F32 takes the place of the earlier one, and one of BF16 or I8 is added to it.
 * Tensors that it does not hold stay as they are. A delta to nothing holds every tensor.
 */

import type { z } from 'zod';
import { TributaryError } from '../errors.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { StateTensors } from './aggregation.ts';
import { NUMBER_FORMATS } from './number-formats.ts';
import type { Codec, EncodedNumbers } from './number-formats.ts';
import { blobReferenceShape, hashShape } from './shapes.ts';
import { draftTensorFile, openTensorFile } from './tensor-file.ts';

/** Float32 tensors that sites receive, and how they follow from what a site may hold. */
export const publishedShape = blobReferenceShape.extend({
  delta: blobReferenceShape
    .extend({ from: hashShape.nullable().describe('the file it is applied to; null: to nothing') })
    .optional(),
});
export type Published = z.infer<typeof publishedShape>;

export interface Broadcast {
  readonly delta: Uint8Array;
  /** What a site makes of the delta. */
  readonly tensors: NamedTensors;
}

/**
 * The delta that brings `from` as near to `target` as the codec can, and what it really brings it to.
 * @param from null where sites hold nothing yet
 * @param target those of the tensors that change, in float64
 */
export function encodeBroadcast(codec: Codec, from: NamedTensors | null, target: StateTensors): Broadcast {
  const { bytes, place } = draftTensorFile(codec, target);
  const tensors = new Map(from ?? []);
  for (const [name, { shape, data: numbers }] of target) {
    const data = new Float32Array(numbers.length);
    encodeStep(codec, { from: from?.get(name)?.data, target: numbers, place: place(name), reached: data });
    tensors.set(name, { shape, data });
  }
  return { delta: bytes, tensors };
}

/** One tensor of a delta: encodes it into its place and gives what a site then holds. */
export function encodeStep(
  codec: Codec,
  step: {
    /** What a site holds before; nothing where that is nothing. */
    readonly from: Float32Array | undefined;
    readonly target: Float64Array;
    readonly place: EncodedNumbers;
    /** Filled with what a site holds then. */
    readonly reached: Float32Array;
  },
): void {
  const { from, target, place, reached } = step;
  const { encodeInto, decodeInto, addInto } = NUMBER_FORMATS[codec];
  if (codec === 'f32' || from === undefined) reached.set(target);
  else for (let i = 0; i < reached.length; i++) reached[i] = target[i] - from[i];
  encodeInto(reached, place);
  if (codec === 'f32') return;
  if (from === undefined) return decodeInto(place, reached);
  reached.set(from);
  addInto(place, reached, 1);
}

/**
 * Applies the delta in a file, in place. Throws TributaryError `transfer.corrupt` where it does not fit what is held.
 */
export function applyBroadcast(path: string, from: NamedTensors | null): NamedTensors {
  const damaged = (what: string): TributaryError =>
    new TributaryError('transfer.corrupt', `The hub’s delta cannot be applied: ${what}.`);
  const file = openTensorFile(path, damaged);
  try {
    const tensors = new Map(from ?? []);
    for (const [name, { shape, codec }] of file.entries) {
      const before = tensors.get(name);
      if (from !== null && before?.shape.join() !== shape.join())
        throw damaged(`${name} is not there in that shape`);
      if (codec === 'f32' || before === undefined) tensors.set(name, { shape, data: file.read(name) });
      else NUMBER_FORMATS[codec].addInto(file.readEncoded(name), before.data, 1);
    }
    return tensors;
  } finally {
    file.close();
  }
}
