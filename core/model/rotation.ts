/**
 * @file An orthogonal rotation of blocks of channels. Rounded to eight bits, a row of activations with a few large
 * channels loses the small ones; rotated, no channel is large. For R Rᵀ = 1, x Wᵀ = (x R)(W R)ᵀ (Ashkboos et al., 2024).
 */

import { Random } from '../random.ts';

const LARGEST_BLOCK = 64;

/** Channels that are rotated together: the largest power of two that divides `channels`, 64 at most. */
export function rotationBlock(channels: number): number {
  let block = 1;
  while (block < LARGEST_BLOCK && channels % (2 * block) === 0) block *= 2;
  return block;
}

/** ±1 per channel of a block, the same ones everywhere. */
function signs(block: number): number[] {
  const random = new Random('rotation', block);
  return Array.from({ length: block }, () => (random.uniform() < 0.5 ? -1 : 1));
}

/** R = diag(signs) · H / √block with Hadamard's matrix H, row-major [block, block]. */
export function rotationMatrix(block: number): number[] {
  return signs(block).flatMap((sign, row) =>
    Array.from({ length: block }, (_, column) => (sign * parity(row & column)) / Math.sqrt(block)),
  );
}

/** −1 for an odd number of set bits, else 1: Sylvester's Hadamard matrix at [row, column] of `row & column`. */
function parity(bits: number): number {
  let sign = 1;
  for (let rest = bits; rest > 0; rest &= rest - 1) sign = -sign;
  return sign;
}

/** Rotates blocks of `data` in place: each is multiplied by R, by the fast Walsh–Hadamard transform. */
export function rotateBlocks(data: Float32Array, block: number): void {
  const factors = Float32Array.from(signs(block), (sign) => sign / Math.sqrt(block));
  for (let start = 0; start < data.length; start += block) {
    for (let at = 0; at < block; at++) data[start + at] *= factors[at];
    for (let half = 1; half < block; half *= 2) {
      for (let low = start; low < start + block; low += 2 * half) {
        for (let at = low; at < low + half; at++) {
          const a = data[at];
          const b = data[at + half];
          data[at] = a + b;
          data[at + half] = a - b;
        }
      }
    }
  }
}
