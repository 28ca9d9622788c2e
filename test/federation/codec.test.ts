/** @file Tensors as bytes: exact round trips. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBlobStore } from '../../core/federation/blobs.ts';
import { encodeTensors, openState, readTensors } from '../../core/federation/codec.ts';
import { openTensorWriter } from '../../core/federation/tensor-writer.ts';
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
  const written = async (tensors: [string, Float64Array][]): Promise<string> => {
    const blobs = await openBlobStore(folder);
    const shapes = new Map(tensors.map(([name, { length }]) => [name, { shape: [length] }]));
    const writer = await openTensorWriter(blobs, shapes, { dtype: 'F64', metadata: null });
    for (const [, data] of tensors) writer.append(data);
    return blobs.path((await writer.finish()).hash);
  };

  it('comes back bit for bit', async () => {
    const doubles = fc.array(fc.double(), { minLength: 0, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(doubles, async (values) => {
        const file = openState(
          await written([
            ['weights', Float64Array.from(values)],
            ['other', Float64Array.of(Math.PI)],
          ]),
        );
        expect(file.read('other')).toEqual(Float64Array.of(Math.PI));
        expect(file.read('weights')).toEqual(Float64Array.from(values));
        expect(file.has('moments')).toBe(false);
        file.close();
      }),
    );
  });

  it('is refused when damaged', async () => {
    const bytes = readFileSync(await written([['w', Float64Array.of(1, 2)]]));
    for (const damaged of [bytes.subarray(0, 5), bytes.subarray(0, -1), bytes.subarray(1)]) {
      writeFileSync(path, damaged);
      expect(() => openState(path)).toThrow(expect.objectContaining({ code: 'state.damaged' }));
    }
  });
});
