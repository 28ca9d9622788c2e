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
import { encodeStep, NUMBER_FORMATS } from './number-formats.ts';
import type { Codec } from './number-formats.ts';
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
  const { bytes, place: placeOf } = draftTensorFile(codec, target);
  const { encodeInto, decodeInto } = NUMBER_FORMATS[codec];
  const tensors = new Map(from ?? []);
  for (const [name, { shape, data: numbers }] of target) {
    const [base, place] = [from?.get(name)?.data, placeOf(name)];
    const data = new Float32Array(numbers.length);
    if (codec !== 'f32' && base !== undefined) {
      encodeStep(codec, { base, target: numbers, reached: data, left: null }, place);
    } else {
      data.set(numbers);
      encodeInto(data, place);
      if (codec !== 'f32') decodeInto(place, data);
    }
    tensors.set(name, { shape, data });
  }
  return { delta: bytes, tensors };
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
