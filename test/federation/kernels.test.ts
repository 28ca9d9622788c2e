/** @file The loops on vectors: the bits of the plain loops that they stand for. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addCodes,
  addScaledCodes,
  encodeCodes,
  encodeDifference,
  encodeStep,
} from '../../core/federation/kernels/codes.ts';
import { BLOCK, PIECE } from '../../core/federation/kernels/module.ts';

interface Codes {
  readonly bytes: Uint8Array;
  readonly scales: Float32Array;
}

const placeFor = (count: number): Codes => ({
  bytes: new Uint8Array(count),
  scales: new Float32Array(Math.ceil(count / BLOCK)),
});

/** A scale is the largest magnitude over 127; a code is the nearest whole number, ties up. */
function plainCodes(numbers: Float32Array): Codes {
  const place = placeFor(numbers.length);
  const codes = new Int8Array(place.bytes.buffer);
  for (let block = 0; block < place.scales.length; block++) {
    const part = numbers.subarray(block * BLOCK, (block + 1) * BLOCK);
    const largest = part.reduce((most, x) => (Math.abs(x) > most || Number.isNaN(x) ? Math.abs(x) : most), 0);
    const scale = Math.fround(largest / 127);
    place.scales[block] = scale;
    part.forEach((x, i) => {
      const code = scale === 0 ? 0 : Math.floor(x / scale + 0.5);
      codes[block * BLOCK + i] = Math.max(-127, Math.min(127, code));
    });
  }
  return place;
}

const decoded = ({ bytes, scales }: Codes, i: number): number =>
  Math.fround(((bytes[i] << 24) >> 24) * scales[Math.floor(i / BLOCK)]);

const float = fc.float({ noNaN: true, noDefaultInfinity: true });
/** Ties between two codes where the largest of a block is 127 units. */
const halves = fc.integer({ min: -253, max: 253 }).map((n) => (n / 2) * Math.fround(1.1));
const numbers = (item: fc.Arbitrary<number>) =>
  fc.array(item, { minLength: 1, maxLength: 3 * BLOCK }).map((values) => Float32Array.from(values));
const any = fc.oneof(
  numbers(float),
  numbers(fc.float({ min: -1, max: 1, noNaN: true })),
  numbers(fc.float({ min: Math.fround(-1e-38), max: Math.fround(1e-38), noNaN: true })),
  numbers(halves).map((values) => values.fill(Math.fround(1.1) * 127, 0, 1)),
);

/** Longer than what is worked on at a time, and no whole number of blocks. */
const long = Float32Array.from(
  { length: 2 * PIECE + 3 * BLOCK + 5 },
  (_, i) => Math.sin(i * i) * 10 ** (i % 3),
);

describe('the kernels', () => {
  it('encode as the plain loops do', () => {
    const check = (values: Float32Array): void => {
      const place = placeFor(values.length);
      encodeCodes(values, place);
      expect(place).toEqual(plainCodes(values));
    };
    fc.assert(fc.property(any, check));
    check(long);
  });

  it('give scales that are no numbers, and no codes, to blocks that hold what is none', () => {
    const values = new Float32Array(2 * BLOCK).fill(1);
    values[3] = NaN;
    values[BLOCK] = -Infinity;
    const place = placeFor(values.length);
    encodeCodes(values, place);
    expect([...place.scales]).toEqual([NaN, Infinity]);
    expect(place.bytes.every((code) => code === 0)).toBe(true);
  });

  it('add codes as the plain loops do, in float32 and in float64', () => {
    const check = (values: Float32Array): void => {
      const place = plainCodes(values);
      for (const sign of [1, -1] as const) {
        const sum = values.map((x) => x / 3);
        const expected = sum.map((x, i) => x + sign * decoded(place, i));
        addCodes(place, sum, sign);
        expect(sum).toEqual(expected);
      }
      const wide = Float64Array.from(values, (x) => x / 3);
      const other = plainCodes(values.map((x) => x / 7));
      const expected = wide.map((x, i) => x + 7 * decoded(place, i) + 0.1 * decoded(other, i));
      addScaledCodes(wide, [
        { coded: place, weight: 7 },
        { coded: other, weight: 0.1 },
      ]);
      expect(wide).toEqual(expected);
    };
    fc.assert(fc.property(any, check));
    check(long);
  });

  it('encode a difference and leave what the codes leave out', () => {
    const check = (weights: Float32Array): void => {
      const base = weights.map((x, i) => x * (1 + (i % 3) * 1e-4));
      const before = weights.map((x) => x * 1e-6);
      const sum = before.map((x, i) => x + (weights[i] - base[i]));
      const expected = plainCodes(sum);
      const place = placeFor(weights.length);
      const rest = before.slice();
      encodeDifference({ rest, weights, base }, place);
      expect(place).toEqual(expected);
      expect(rest).toEqual(sum.map((x, i) => x - decoded(expected, i)));
    };
    fc.assert(fc.property(any, check));
    check(long);
  });

  it('encode a step of the hub, say where it leads, and leave what is missing then', () => {
    const check = (base: Float32Array): void => {
      const target = Float64Array.from(base, (x, i) => x * (1 + (i % 5) * 1e-4) + 1e-9);
      const before = base.map((x) => x * 1e-6);
      for (const left of [before.slice(), null]) {
        const wanted = target.map((x, i) => x + (left === null ? 0 : before[i]));
        const expected = plainCodes(base.map((x, i) => wanted[i] - x));
        const place = placeFor(base.length);
        const reached = new Float32Array(base.length);
        encodeStep({ base, target, reached, left }, place);
        expect(place).toEqual(expected);
        expect(reached).toEqual(base.map((x, i) => x + decoded(expected, i)));
        if (left !== null) expect(left).toEqual(base.map((_, i) => wanted[i] - reached[i]));
      }
    };
    fc.assert(fc.property(any, check));
    check(long);
  });
});
