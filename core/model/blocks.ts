/** @file Unpacks the storage formats of weights: half floats and GGUF's quantised blocks. */

import { halfTable } from './half.ts';
import { factorsOfQ4K, SUPER_BLOCK, superBlocks } from './super-blocks.ts';
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
  Q5_0: { values: BLOCK, bytes: 22 },
  Q5_1: { values: BLOCK, bytes: 24 },
  Q4_K: { values: SUPER_BLOCK, bytes: 144 },
  Q5_K: { values: SUPER_BLOCK, bytes: 176 },
  Q6_K: { values: SUPER_BLOCK, bytes: 210 },
};

/**
 * The packed form that holds a matrix of a format without loss, or null where none does: Q5_1 and Q5_K have five
 * bits and a minimum, Q6_K has blocks of 16.
 */
export function packedForm(format: WeightFormat): 'int4' | 'int8' | null {
  if (format === 'Q4_0' || format === 'Q4_1' || format === 'Q4_K') return 'int4';
  return format === 'Q8_0' || format === 'Q5_0' ? 'int8' : null;
}

/** The packed matrix, or null where `packedForm` is. */
export function repack(format: WeightFormat, stored: StoredMatrix): Int4Matrix | Int8Matrix | null {
  if (format === 'Q4_0' || format === 'Q4_1' || format === 'Q4_K') return repackInt4(format, stored);
  return format === 'Q8_0' || format === 'Q5_0' ? repackInt8(format, stored) : null;
}

/** A matrix as it lies in the file; `rowOrder(row)` says at which row of the result a row of the file belongs. */
export interface StoredMatrix {
  readonly bytes: Buffer;
  readonly rows: number;
  readonly columns: number;
  readonly rowOrder: (row: number) => number;
}

/** Whether this machine keeps numbers as files do. */
export const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Dequantises to row-major float32: `d · q + m` rounded once, as ggml's reference does. Source: ggml's quants.c. */
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
  Q5_0: (bytes, position, out) => {
    const half = halfTable();
    for (let start = 0, at = position; start < out.length; start += BLOCK, at += 22) {
      const scale = half[bytes[at] | (bytes[at + 1] << 8)];
      for (let index = 0; index < BLOCK; index++) {
        out[start + index] = scale * (fiveBits(bytes, at + 2, index) - 16);
      }
    }
  },
  Q5_1: (bytes, position, out) => {
    const half = halfTable();
    for (let start = 0, at = position; start < out.length; start += BLOCK, at += 24) {
      const scale = half[bytes[at] | (bytes[at + 1] << 8)];
      const minimum = half[bytes[at + 2] | (bytes[at + 3] << 8)];
      for (let index = 0; index < BLOCK; index++) {
        out[start + index] = scale * fiveBits(bytes, at + 4, index) + minimum;
      }
    }
  },
  ...superBlocks,
};

/** Value `index` of a block of five bits: four bytes hold the highest bits of all, then follow the lower four. */
function fiveBits(bytes: Buffer, at: number, index: number): number {
  const pair = bytes[at + 4 + (index & 15)];
  return (index < 16 ? pair & 15 : pair >> 4) | (((bytes[at + (index >> 3)] >> (index & 7)) & 1) << 4);
}

/** Repacks a matrix in four bits: factors and values of each block of 32, in the order of the file's rows. */
function repackInt4(format: 'Q4_0' | 'Q4_1' | 'Q4_K', stored: StoredMatrix): Int4Matrix {
  const { rows, columns } = stored;
  const matrix: Int4Matrix = {
    kind: 'int4',
    shape: [rows, columns],
    values: new Uint8Array((rows * columns) / 2),
    scale: new Float32Array((rows * columns) / BLOCK),
    minimum: new Float32Array((rows * columns) / BLOCK),
  };
  const rowBytes = (columns / storage[format].values) * storage[format].bytes;
  const repackRow = format === 'Q4_K' ? repackRowOfQ4K : repackRowOfQ4;
  for (let row = 0; row < rows; row++) {
    const block = (stored.rowOrder(row) * columns) / BLOCK;
    repackRow(stored.bytes.subarray(row * rowBytes, (row + 1) * rowBytes), matrix, { block, format });
  }
  return matrix;
}

/**
 * A block of the file holds columns 0 … 15 in the low and 16 … 31 in the high four bits of its 16 bytes, ours holds
 * neighbours. Q4_0's `d · (q − 8)` becomes scale d and minimum −8 · d.
 */
function repackRowOfQ4(bytes: Buffer, to: Int4Matrix, row: { block: number; format: WeightFormat }): void {
  const half = halfTable();
  const head = row.format === 'Q4_0' ? 2 : 4;
  for (let at = 0, { block } = row; at < bytes.length; block++) {
    const d = half[bytes[at] | (bytes[at + 1] << 8)];
    to.scale[block] = d;
    to.minimum[block] = row.format === 'Q4_0' ? -8 * d : half[bytes[at + 2] | (bytes[at + 3] << 8)];
    at += head;
    for (let pair = 0, place = block * 16; pair < 8; pair++, place++, at += 2) {
      const even = bytes[at];
      const odd = bytes[at + 1];
      to.values[place] = (even & 15) | ((odd & 15) << 4);
      to.values[place + 8] = (even >> 4) | (odd & 0xf0);
    }
  }
}

/**
 * Two blocks of 32 share 32 bytes of the file: the first has their low, the second their high four bits. The
 * products of factors, d · sc and −dmin · m, are exact in float32: 11 bits times 6.
 */
function repackRowOfQ4K(bytes: Buffer, to: Int4Matrix, row: { block: number }): void {
  for (let at = 0, { block } = row; at < bytes.length; at += storage.Q4_K.bytes) {
    const { scale, minimum } = factorsOfQ4K(bytes, at);
    to.scale.set(scale, block);
    to.minimum.set(minimum, block);
    for (let from = at + 16; from < at + storage.Q4_K.bytes; from += BLOCK, block += 2) {
      for (let pair = 0, place = block * 16; pair < 16; pair++, place++) {
        const even = bytes[from + 2 * pair];
        const odd = bytes[from + 2 * pair + 1];
        to.values[place] = (even & 15) | ((odd & 15) << 4);
        to.values[place + 16] = (even >> 4) | (odd & 0xf0);
      }
    }
  }
}

/** Separates the scales of a Q8_0 or Q5_0 matrix from its values; Q5_0's d · (q − 16) is of the same form. */
function repackInt8(format: 'Q8_0' | 'Q5_0', stored: StoredMatrix): Int8Matrix {
  const { bytes, rows, columns } = stored;
  const half = halfTable();
  const blocks = columns / BLOCK;
  const values = new Int8Array(rows * columns);
  const scale = new Float32Array(rows * blocks);
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  const step = storage[format].bytes;
  let at = 0;
  for (let row = 0; row < rows; row++) {
    let block = stored.rowOrder(row) * blocks;
    for (const end = block + blocks; block < end; block++, at += step) {
      scale[block] = half[bytes[at] | (bytes[at + 1] << 8)];
      const place = block * BLOCK;
      if (format === 'Q8_0') values.set(signed.subarray(at + 2, at + step), place);
      else
        for (let index = 0; index < BLOCK; index++)
          values[place + index] = fiveBits(bytes, at + 2, index) - 16;
    }
  }
  return { kind: 'int8', shape: [rows, columns], values, scale };
}
