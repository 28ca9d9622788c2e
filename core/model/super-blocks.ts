/** @file Unpacks GGUF's K formats: super-blocks of 256 values in sub-blocks with factors of their own (ggml's quants.c). */

import { halfTable } from './half.ts';

/** Values of a super-block. */
export const SUPER_BLOCK = 256;
const SUB_BLOCKS = 8;

/**
 * Scales and minima of the eight sub-blocks of 32 of a Q4_K or Q5_K super-block, w = scale · q + minimum. The file
 * has two half floats d and dmin, then twelve bytes that pack eight six-bit scales sc and eight six-bit minima m:
 * scale = d · sc, minimum = −dmin · m.
 */
export function factorsOfQ4K(bytes: Buffer, at: number): { scale: Float32Array; minimum: Float32Array } {
  const half = halfTable();
  const d = half[bytes[at] | (bytes[at + 1] << 8)];
  const dmin = half[bytes[at + 2] | (bytes[at + 3] << 8)];
  const scale = new Float32Array(SUB_BLOCKS);
  const minimum = new Float32Array(SUB_BLOCKS);
  for (let index = 0; index < 4; index++) {
    const [low, middle, high] = [bytes[at + 4 + index], bytes[at + 8 + index], bytes[at + 12 + index]];
    scale[index] = d * (low & 63);
    minimum[index] = -dmin * (middle & 63);
    scale[index + 4] = d * ((high & 15) | ((low >> 6) << 4));
    minimum[index + 4] = -dmin * ((high >> 4) | ((middle >> 6) << 4));
  }
  return { scale, minimum };
}

type UnpackRow = (bytes: Buffer, position: number, out: Float32Array) => void;

/** One row of whole super-blocks each. */
export const superBlocks: Readonly<Record<'Q4_K' | 'Q5_K' | 'Q6_K', UnpackRow>> = {
  Q4_K: (bytes, position, out) => {
    for (let start = 0, at = position; start < out.length; start += SUPER_BLOCK, at += 144) {
      const { scale, minimum } = factorsOfQ4K(bytes, at);
      for (let index = 0; index < SUPER_BLOCK; index++) {
        const sub = index >> 5;
        const pair = bytes[at + 16 + (sub >> 1) * 32 + (index & 31)];
        const q = sub % 2 === 0 ? pair & 15 : pair >> 4;
        out[start + index] = scale[sub] * q + minimum[sub];
      }
    }
  },
  // As Q4_K, with 32 bytes before the low bits: bit `sub` of byte i is the highest bit of value i of sub-block `sub`.
  Q5_K: (bytes, position, out) => {
    for (let start = 0, at = position; start < out.length; start += SUPER_BLOCK, at += 176) {
      const { scale, minimum } = factorsOfQ4K(bytes, at);
      for (let index = 0; index < SUPER_BLOCK; index++) {
        const sub = index >> 5;
        const pair = bytes[at + 48 + (sub >> 1) * 32 + (index & 31)];
        const high = (bytes[at + 16 + (index & 31)] >> sub) & 1;
        const q = (sub % 2 === 0 ? pair & 15 : pair >> 4) | (high << 4);
        out[start + index] = scale[sub] * q + minimum[sub];
      }
    }
  },
  // 128 bytes of low bits, 64 of high bits, 16 signed scales of sub-blocks of 16, then d: w = d · sc · (q − 32). In
  // each half of 128 values, four runs of 32 share the bytes: runs 0 and 2 the first 32 low bytes, 1 and 3 the others.
  Q6_K: (bytes, position, out) => {
    const half = halfTable();
    for (let start = 0, at = position; start < out.length; start += SUPER_BLOCK, at += 210) {
      const d = half[bytes[at + 208] | (bytes[at + 209] << 8)];
      for (let index = 0; index < SUPER_BLOCK; index++) {
        const part = index >> 7;
        const run = (index >> 5) & 3;
        const pair = bytes[at + part * 64 + (run & 1) * 32 + (index & 31)];
        const high = (bytes[at + 128 + part * 32 + (index & 31)] >> (2 * run)) & 3;
        const q = (run < 2 ? pair & 15 : pair >> 4) | (high << 4);
        out[start + index] = d * bytes.readInt8(at + 192 + (index >> 4)) * (q - 32);
      }
    }
  },
};
