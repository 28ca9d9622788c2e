/** @file Tensors as bytes: exact round trips. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeState, encodeState, encodeTensors, readTensors, toWire } from '../../core/federation/codec.ts';
import type { NamedTensors, Tensor } from '../../core/model/tensor.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-codec-'));
  path = join(folder, 'update');
});
afterEach(() => rmSync(folder, { recursive: true }));

const tensor = (shape: number[], values: number[]): Tensor => ({ shape, data: Float32Array.from(values) });
const base: NamedTensors = new Map([
  ['layers.0.lora_A.weight', tensor([2, 3], [1, 2, 3, 4, 5, 6])],
  ['layers.0.lora_B.weight', tensor([3, 2], [0, 0, 0, 0, 0, 0])],
]);

describe('float32 blobs', () => {
  it('come back bit for bit, in order', () => {
    writeFileSync(path, encodeTensors(base));
    expect([...readTensors(path)]).toEqual([...base]);
  });

  it('are the same bytes for the same tensors', () => {
    expect(encodeTensors(base)).toEqual(encodeTensors(new Map(base)));
  });
});

describe('float64 state', () => {
  it('comes back bit for bit', () => {
    fc.assert(
      fc.property(fc.array(fc.double(), { minLength: 0, maxLength: 20 }), (values) => {
        const state = new Map([
          ['weights', { shape: [values.length], data: Float64Array.from(values) }],
          ['scalar', { shape: [], data: Float64Array.of(Math.PI) }],
        ]);
        expect([...decodeState(encodeState(state))]).toEqual([...state]);
      }),
    );
  });

  it('becomes float32 on the wire', () => {
    const wire = toWire(new Map([['w', { shape: [1], data: Float64Array.of(0.1) }]]));
    expect(wire.get('w')).toEqual(tensor([1], [0.1]));
  });

  it('is refused when damaged', () => {
    const bytes = encodeState(new Map([['w', { shape: [2], data: Float64Array.of(1, 2) }]]));
    for (const damaged of [bytes.subarray(0, 5), bytes.subarray(0, -1), bytes.subarray(1)]) {
      expect(() => decodeState(damaged)).toThrow(expect.objectContaining({ code: 'state.damaged' }));
    }
  });
});
