/** @file Number formats: what comes back of any numbers, and how far off. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK, decodeNumbers, encodeNumbers } from '../../core/federation/number-formats.ts';
import type { Codec } from '../../core/federation/number-formats.ts';

const numbers = (limit: number) =>
  fc
    .array(fc.float({ min: -limit, max: limit, noNaN: true }), { maxLength: 3 * BLOCK })
    .map((values) => Float32Array.from(values));

function returned(codec: Codec, values: Float32Array): Float32Array {
  return decodeNumbers(codec, encodeNumbers(codec, values));
}

describe('f32', () => {
  it('comes back bit for bit, wherever its bytes lie', () => {
    fc.assert(
      fc.property(numbers(Math.fround(1e38)), fc.nat(7), (values, shift) => {
        const { bytes } = encodeNumbers('f32', values);
        const moved = new Uint8Array(bytes.length + shift);
        moved.set(bytes, shift);
        expect(decodeNumbers('f32', { bytes: moved.subarray(shift), scales: null })).toEqual(values);
      }),
    );
  });
});

describe('bf16', () => {
  it('is off by at most one part in 256, and not at all the second time', () => {
    fc.assert(
      fc.property(numbers(Math.fround(1e38)), (values) => {
        const once = returned('bf16', values);
        once.forEach((value, i) => {
          expect(Math.abs(value - values[i])).toBeLessThanOrEqual(Math.abs(values[i]) / 256 + 1e-40);
        });
        expect(returned('bf16', once)).toEqual(once);
      }),
    );
  });

  it('rounds to the nearest, and ties to even', () => {
    const step = 2 ** -7;
    const given = Float32Array.of(
      1,
      1 + 0.4 * step,
      1 + 0.6 * step,
      1 + 0.5 * step,
      1 + 1.5 * step,
      -1 - 1.5 * step,
    );
    expect([...returned('bf16', given)]).toEqual([1, 1, 1 + step, 1, 1 + 2 * step, -1 - 2 * step]);
  });
});

describe('int8', () => {
  it('is off by at most half a code of its block', () => {
    fc.assert(
      fc.property(numbers(1e6), (values) => {
        returned('int8', values).forEach((value, i) => {
          const from = Math.floor(i / BLOCK) * BLOCK;
          const largest = values
            .slice(from, from + BLOCK)
            .reduce((most, x) => Math.max(most, Math.abs(x)), 0);
          expect(Math.abs(value - values[i])).toBeLessThanOrEqual((largest / 127) * 0.5001 + 1e-37);
        });
      }),
    );
  });

  it('keeps zeros, the largest number of a block and small blocks beside large ones', () => {
    const values = new Float32Array(2 * BLOCK);
    values[3] = -5;
    values[BLOCK] = 1e-6;
    const back = returned('int8', values);
    expect([back[0], back[3], back[BLOCK + 1]]).toEqual([0, -5, 0]);
    expect(Math.abs(back[BLOCK] / 1e-6 - 1)).toBeLessThan(1e-6);
  });

  it('takes a byte a number and four a block', () => {
    const { bytes, scales } = encodeNumbers('int8', new Float32Array(BLOCK + 1));
    expect([bytes.length, scales?.length]).toEqual([BLOCK + 1, 2]);
  });
});
