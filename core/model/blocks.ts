/** @file Unpacks the storage formats of weights: half floats and GGUF's quantised blocks of 32 values. */

import type { Int4Matrix, Int8Matrix, WeightFormat } from './weights.ts';

/** Values that share a scale. */
export const BLOCK = 32;

/** Storage of each format: `bytes` for every `values` consecutive values of a row. */
export const storage: Readonly<Record<WeightFormat, { readonly values: number; readonly bytes: number }>> = {
  F32: { values: 1, bytes: 4 },
  F16: { values: 1, bytes: 2 },
  BF16: { values: 1, bytes: 2 },
  Q8_0: { values: BLOCK, bytes: 34 },
  Q4_0: { values: BLOCK, bytes: 18 },
  Q4_1: { values: BLOCK, bytes: 20 },
};

/** A matrix as it lies in the file; `rowOrder(row)` says at which row of the result a row of the file belongs. */
export interface StoredMatrix {
  readonly bytes: Buffer;
  readonly rows: number;
  readonly columns: number;
  readonly rowOrder: (row: number) => number;
}

let halves: Float32Array | null = null;

/** The value of each of the 65 536 IEEE half floats. */
function halfTable(): Float32Array {
  if (halves !== null) return halves;
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >>> 10) & 31;
    const fraction = bits & 1023;
    const magnitude =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction === 0
            ? Infinity
            : NaN
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    table[bits] = bits & 0x8000 ? -magnitude : magnitude;
  }
  halves = table;
  return table;
}

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Dequantises to row-major float32: `d · q + m` rounded once, as ggml's reference does. */
export function unpack(format: WeightFormat, stored: StoredMatrix): Float32Array {
  const { bytes, rows, columns } = stored;
  const out = new Float32Array(rows * columns);
  const rowBytes = (columns / storage[format].values) * storage[format].bytes;
  for (let row = 0; row < rows; row++) {
    unpackRow[format](
      bytes,
      row * rowBytes,
      out.subarray(stored.rowOrder(row) * columns).subarray(0, columns),
    );
  }
  return out;
}

type UnpackRow = (bytes: Buffer, position: number, out: Float32Array) => void;

const unpackRow: Readonly<Record<WeightFormat, UnpackRow>> = {
  F32: (bytes, position, out) => {
    if (littleEndian) {
      new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(
        bytes.subarray(position, position + out.byteLength),
      );
      return;
    }
    for (let index = 0; index < out.length; index++) out[index] = bytes.readFloatLE(position + 4 * index);
  },
  F16: (bytes, position, out) => {
    const half = halfTable();
    for (let index = 0, at = position; index < out.length; index++, at += 2) {
      out[index] = half[bytes[at] | (bytes[at + 1] << 8)];
    }
  },
  BF16: (bytes, position, out) => {
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let index = 0, at = position; index < out.length; index++, at += 2) {
      bits[index] = (bytes[at] << 16) | (bytes[at + 1] << 24);
    }
  },
  Q8_0: (bytes, position, out) => {
    const half = halfTable();
    for (let start = 0, at = position; start < out.length; start += BLOCK, at += 34) {
      const scale = half[bytes[at] | (bytes[at + 1] << 8)];
      for (let index = 0; index < BLOCK; index++) {
        out[start + index] = scale * ((bytes[at + 2 + index] << 24) >> 24);
      }
    }
  },
  Q4_0: (bytes, position, out) => {
    const half = halfTable();
    for (let start = 0, at = position; start < out.length; start += BLOCK, at += 18) {
      const scale = half[bytes[at] | (bytes[at + 1] << 8)];
      for (let index = 0; index < 16; index++) {
        const pair = bytes[at + 2 + index];
        out[start + index] = scale * ((pair & 15) - 8);
        out[start + index + 16] = scale * ((pair >> 4) - 8);
      }
    }
  },
  Q4_1: (bytes, position, out) => {
    const half = halfTable();
    for (let start = 0, at = position; start < out.length; start += BLOCK, at += 20) {
      const scale = half[bytes[at] | (bytes[at + 1] << 8)];
      const minimum = half[bytes[at + 2] | (bytes[at + 3] << 8)];
      for (let index = 0; index < 16; index++) {
        const pair = bytes[at + 4 + index];
        out[start + index] = scale * (pair & 15) + minimum;
        out[start + index + 16] = scale * (pair >> 4) + minimum;
      }
    }
  },
};

/**
 * Repacks a Q4_0 or Q4_1 matrix: a block of the file holds columns 0 … 15 in the low and 16 … 31 in the high four
 * bits of its 16 bytes, ours holds neighbours. Q4_0's `d · (q − 8)` becomes scale d and minimum −8 · d.
 */
export function repackInt4(format: 'Q4_0' | 'Q4_1', stored: StoredMatrix): Int4Matrix {
  const { bytes, rows, columns } = stored;
  const half = halfTable();
  const blocks = columns / BLOCK;
  const values = new Uint8Array((rows * columns) / 2);
  const scale = new Float32Array(rows * blocks);
  const minimum = new Float32Array(rows * blocks);
  const head = format === 'Q4_0' ? 2 : 4;
  let at = 0;
  for (let row = 0; row < rows; row++) {
    let block = stored.rowOrder(row) * blocks;
    for (const end = block + blocks; block < end; block++) {
      const d = half[bytes[at] | (bytes[at + 1] << 8)];
      scale[block] = d;
      minimum[block] = format === 'Q4_0' ? -8 * d : half[bytes[at + 2] | (bytes[at + 3] << 8)];
      at += head;
      for (let pair = 0, to = block * 16; pair < 8; pair++, to++, at += 2) {
        const even = bytes[at];
        const odd = bytes[at + 1];
        values[to] = (even & 15) | ((odd & 15) << 4);
        values[to + 8] = (even >> 4) | (odd & 0xf0);
      }
    }
  }
  return { kind: 'int4', shape: [rows, columns], values, scale, minimum };
}

/** Separates the scales of a Q8_0 matrix from its values. */
export function repackInt8(stored: StoredMatrix): Int8Matrix {
  const { bytes, rows, columns } = stored;
  const half = halfTable();
  const blocks = columns / BLOCK;
  const values = new Int8Array(rows * columns);
  const scale = new Float32Array(rows * blocks);
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    let block = stored.rowOrder(row) * blocks;
    for (const end = block + blocks; block < end; block++, at += 34) {
      scale[block] = half[bytes[at] | (bytes[at + 1] << 8)];
      values.set(signed.subarray(at + 2, at + 34), block * BLOCK);
    }
  }
  return { kind: 'int8', shape: [rows, columns], values, scale };
}
