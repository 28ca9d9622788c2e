/** @file Tensors as bytes: float32 safetensors on the wire, float64 safetensors for the hub's own state. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { encodeSafetensors, openSafetensors, readSafetensors } from '../model/safetensors.ts';
import { elementCount } from '../model/tensor.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { StateTensor, StateTensors } from './aggregation.ts';
import type { Shapes } from './update.ts';

/** A blob of the codec `f32`. The same tensors in the same order always give the same bytes. */
export function encodeTensors(tensors: NamedTensors): Uint8Array {
  return encodeSafetensors(tensors);
}

/** The shapes of a blob without its values. Throws as `openSafetensors` does. */
export function readShapes(path: string): Shapes {
  const file = openSafetensors(path);
  file.close();
  return file.entries;
}

/** Reads a blob of the codec `f32` that this program wrote. Throws as `readSafetensors` does. */
export function readTensors(path: string): NamedTensors {
  return readSafetensors(path);
}

/** The float32 tensors that sites receive of a state. */
export function toWire(state: StateTensors): NamedTensors {
  return new Map(
    [...state].map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }]),
  );
}

const stateHeader = z.record(
  z.string(),
  z.strictObject({
    dtype: z.literal('F64'),
    shape: z.array(z.int().min(0)).max(8),
    data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
  }),
);

/** Float64 tensors as safetensors bytes, in the order of the map. */
export function encodeState(tensors: StateTensors): Uint8Array {
  return encodeSafetensors(tensors, null);
}

/** Reads what `encodeState` wrote. Throws TributaryError `state.damaged`. */
export function decodeState(bytes: Uint8Array): StateTensors {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const start = 8 + Number(view.getBigUint64(0, true));
    const header = stateHeader.parse(JSON.parse(Buffer.from(bytes.subarray(8, start)).toString('utf8')));
    const tensors = new Map<string, StateTensor>();
    for (const [
      name,
      {
        shape,
        data_offsets: [from, to],
      },
    ] of Object.entries(header)) {
      const data = new Float64Array(elementCount(shape));
      if (to - from !== data.byteLength) throw new RangeError(`${name} has ${to - from} bytes`);
      for (let index = 0; index < data.length; index++) {
        data[index] = view.getFloat64(start + from + 8 * index, true);
      }
      tensors.set(name, { shape, data });
    }
    return tensors;
  } catch (cause) {
    throw new TributaryError('state.damaged', 'The saved state of the run is not readable.', { cause });
  }
}
