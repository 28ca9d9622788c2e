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
import type { NamedTensors, Tensor } from '../model/tensor.ts';
import type { StateTensors } from './aggregation.ts';
import { NUMBER_FORMATS } from './number-formats.ts';
import type { Codec } from './number-formats.ts';
import { blobReferenceShape, hashShape } from './shapes.ts';
import { encodeTensorFile, openTensorFile } from './tensor-file.ts';

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
  const format = NUMBER_FORMATS[codec];
  const sent = new Map<string, Tensor>();
  const tensors = new Map(from ?? []);
  for (const [name, { shape, data }] of target) {
    const before = from?.get(name)?.data;
    const numbers =
      codec === 'f32'
        ? Float32Array.from(data)
        : Float32Array.from(data, (value, i) => value - (before?.[i] ?? 0));
    sent.set(name, { shape, data: numbers });
    const received = codec === 'f32' ? numbers : sum(before, format.decode(format.encode(numbers)));
    tensors.set(name, { shape, data: received });
  }
  return { delta: encodeTensorFile(codec, sent), tensors };
}

/** Applies the delta in a file. Throws TributaryError `transfer.corrupt` where it does not fit what is held. */
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
      const numbers = file.read(name);
      tensors.set(name, { shape, data: codec === 'f32' ? numbers : sum(before?.data, numbers) });
    }
    return tensors;
  } finally {
    file.close();
  }
}

/** In float32, rounded once: the same bits at the hub and at every site. */
function sum(before: Float32Array | undefined, difference: Float32Array): Float32Array {
  if (before === undefined) return difference;
  const result = new Float32Array(difference.length);
  for (let i = 0; i < result.length; i++) result[i] = before[i] + difference[i];
  return result;
}
