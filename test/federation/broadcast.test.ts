/** @file Broadcasts as deltas: the hub and every site hold the same bytes, and nothing is lost over the rounds. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyBroadcast, encodeBroadcast } from '../../core/federation/broadcast.ts';
import { encodeTensors } from '../../core/federation/codec.ts';
import { CODECS } from '../../core/federation/number-formats.ts';
import { encodeTensorFile } from '../../core/federation/tensor-file.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { codeOf } from '../helpers/errors.ts';

let path: string;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-broadcast-'));
  path = join(folder, 'delta');
});
afterEach(() => rmSync(folder, { recursive: true }));

const float = fc.float({ min: -4, max: 4, noNaN: true });
const six = fc.array(float, { minLength: 6, maxLength: 6 });
const held = (values: number[]): NamedTensors =>
  new Map([
    ['A', { shape: [3], data: Float32Array.from(values.slice(0, 3)) }],
    ['B', { shape: [3], data: Float32Array.from(values.slice(3)) }],
  ]);
const target = (values: number[], names = ['A', 'B']) =>
  new Map(
    names.map((name, at) => [
      name,
      { shape: [3], data: Float64Array.from(values.slice(3 * at, 3 * at + 3)) },
    ]),
  );

function applied(delta: Uint8Array, from: NamedTensors | null): NamedTensors {
  writeFileSync(path, delta);
  return applyBroadcast(path, from);
}

describe.each(CODECS)('a delta in %s', (codec) => {
  it('gives a site the bytes that the hub has', () => {
    fc.assert(
      fc.property(six, six, (before, after) => {
        for (const from of [held(before), null]) {
          const { delta, tensors } = encodeBroadcast(codec, from, target(after));
          expect(encodeTensors(applied(delta, from))).toEqual(encodeTensors(tensors));
        }
      }),
    );
  });

  it('leaves what it does not hold', () => {
    const from = held([1, 2, 3, 4, 5, 6]);
    const { delta, tensors } = encodeBroadcast(codec, from, target([7, 8, 9], ['B']));
    const received = applied(delta, from);
    expect(received.get('A')).toEqual(from.get('A'));
    expect(received.get('B')).toEqual(tensors.get('B'));
    expect([...received.keys()]).toEqual(['A', 'B']);
    received.get('B')?.data.forEach((value, i) => expect(Math.abs(value - 7 - i)).toBeLessThan(0.05));
  });

  it('is refused where it does not fit what is held', () => {
    const { delta } = encodeBroadcast(codec, null, target([1, 2, 3, 4, 5, 6]));
    const other: NamedTensors = new Map([['A', { shape: [3], data: new Float32Array(3) }]]);
    expect(codeOf(() => applied(delta, other))).toBe('transfer.corrupt');
    const flat: NamedTensors = new Map(held([1, 2, 3, 4, 5, 6])).set('B', {
      shape: [1, 3],
      data: new Float32Array(3),
    });
    expect(codeOf(() => applied(delta, flat))).toBe('transfer.corrupt');
    for (let length = 0; length < delta.length; length += 7)
      expect(codeOf(() => applied(delta.subarray(0, length), null))).toBe('transfer.corrupt');
  });
});

it('in f32 takes the place of what was there, exactly', () => {
  const { delta, tensors } = encodeBroadcast('f32', held([1, 2, 3, 4, 5, 6]), target([0.1, 0.2, 0.3], ['A']));
  expect(tensors.get('A')?.data).toEqual(Float32Array.of(0.1, 0.2, 0.3));
  expect(Buffer.from(delta)).toEqual(encodeTensorFile('f32', new Map([...tensors].slice(0, 1))));
});
