/** @file Packs float32 values in the storage formats that are written; `blocks.ts` unpacks them. */

import { BLOCK, littleEndian, storage } from './blocks.ts';
import { halfBits } from './half.ts';
import { littleEndianBytes } from './safetensors.ts';
import type { WeightFormat } from './weights.ts';

export type PackedFormat = Extract<WeightFormat, 'F32' | 'BF16' | 'Q8_0'>;

/** The bytes of `values`, whose number fills whole blocks. Those of F32 and BF16 are little-endian. */
export function pack(format: PackedFormat, values: Float32Array): Uint8Array {
  return packers[format](values);
}

/** Bytes that so many values take. */
export function packedLength(format: PackedFormat, values: number): number {
  return (values / storage[format].values) * storage[format].bytes;
}

const packers: Readonly<Record<PackedFormat, (values: Float32Array) => Uint8Array>> = {
  F32: littleEndianBytes,

  // The upper half of each float32, rounded to nearest, ties to even.
  BF16: (values) => {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const halves = new Uint16Array(values.length);
    for (let i = 0; i < halves.length; i++) halves[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
    const bytes = Buffer.from(halves.buffer);
    return littleEndian ? bytes : bytes.swap16();
  },

  // d = max |w| / 127 in half precision, then q = round(w / d), as ggml's reference does (ggml's quants.c).
  Q8_0: (values) => {
    const bytes = new Uint8Array(packedLength('Q8_0', values.length));
    for (let start = 0, at = 0; start < values.length; start += BLOCK) {
      let largest = 0;
      for (let i = start; i < start + BLOCK; i++) largest = Math.max(largest, Math.abs(values[i]));
      const step = Math.fround(largest / 127);
      const bits = halfBits(step);
      bytes[at++] = bits & 255;
      bytes[at++] = bits >>> 8;
      const inverse = step === 0 ? 0 : Math.fround(1 / step);
      for (let i = start; i < start + BLOCK; i++) {
        const steps = values[i] * inverse;
        // To the nearest integer, halves away from zero, as C's `roundf`.
        bytes[at++] = Math.trunc(steps < 0 ? steps - 0.5 : steps + 0.5);
      }
    }
    return bytes;
  },
};
