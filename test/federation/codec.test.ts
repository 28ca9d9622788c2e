/** @file Tensors as bytes: exact round trips, and updates that must be refused. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toTributaryError } from '../../core/errors.ts';
import {
  decodeState,
  encodeState,
  encodeTensors,
  encodeUpdate,
  readTensors,
  readUpdate,
  toWire,
} from '../../core/federation/codec.ts';
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

/** What `readUpdate` throws for the tensors, or the code of nothing. */
function refusal(bytes: Uint8Array, parts = ['weights']): { code: string; message: string } {
  writeFileSync(path, bytes);
  try {
    readUpdate(path, base, parts);
  } catch (error) {
    return toTributaryError(error);
  }
  return { code: 'accepted', message: '' };
}

describe('float32 blobs', () => {
  it('come back bit for bit, in order', () => {
    writeFileSync(path, encodeTensors(base));
    expect([...readTensors(path)]).toEqual([...base]);
    expect([...readUpdate(path, base, ['weights']).weights]).toEqual([...base]);
  });

  it('are the same bytes for the same tensors', () => {
    expect(encodeTensors(base)).toEqual(encodeTensors(new Map(base)));
  });

  it('are taken in any order and returned in that of the base', () => {
    writeFileSync(path, encodeTensors(new Map([...base].reverse())));
    expect([...readUpdate(path, base, ['weights']).weights.keys()]).toEqual([...base.keys()]);
  });
});

describe('an update of several parts', () => {
  const parts = { weights: base, control: new Map([...base].reverse()) };

  it('comes back part by part in the order of the base, and is a plain one where it has nothing but weights', () => {
    writeFileSync(path, encodeUpdate(parts));
    const read = readUpdate(path, base, ['weights', 'control']);
    expect([...read.weights]).toEqual([...base]);
    expect([...read.control]).toEqual([...base]);
    expect(encodeUpdate({ weights: base })).toEqual(encodeTensors(base));
  });

  it('is refused where a part is missing, too much or not finite', () => {
    const both = ['weights', 'control'];
    expect(refusal(encodeUpdate({ weights: base }), both).message).toContain('lacks control:layers.0.lora_A');
    expect(refusal(encodeUpdate(parts)).code).toBe('update.tensor-mismatch');
    const broken = new Map(base).set('layers.0.lora_B.weight', tensor([3, 2], [0, NaN, 0, 0, 0, 0]));
    expect(refusal(encodeUpdate({ ...parts, control: broken }), both)).toMatchObject({
      code: 'update.not-finite',
      message: expect.stringContaining('control:layers.0.lora_B.weight holds NaN') as string,
    });
  });
});

describe('an update is refused', () => {
  it.each([
    ['NaN', NaN],
    ['infinity', Infinity],
    ['minus infinity', -Infinity],
  ])('for %s', (_, value) => {
    const update = new Map(base).set('layers.0.lora_B.weight', tensor([3, 2], [0, 0, 0, value, 0, 0]));
    const { code, message } = refusal(encodeTensors(update));
    expect(code).toBe('update.not-finite');
    expect(message).toContain(`layers.0.lora_B.weight holds ${value} at position 3`);
  });

  it('for a tensor too many', () => {
    const update = new Map(base).set('extra', tensor([1], [1]));
    expect(refusal(encodeTensors(update))).toMatchObject({
      code: 'update.tensor-mismatch',
      message: expect.stringContaining('extra') as string,
    });
  });

  it('for a tensor too few', () => {
    const update = new Map([...base].slice(1));
    expect(refusal(encodeTensors(update))).toMatchObject({
      code: 'update.tensor-mismatch',
      message: expect.stringContaining('lacks layers.0.lora_A.weight') as string,
    });
  });

  it('for another shape of the same size', () => {
    const update = new Map(base).set('layers.0.lora_A.weight', tensor([3, 2], [1, 2, 3, 4, 5, 6]));
    expect(refusal(encodeTensors(update))).toMatchObject({
      code: 'update.tensor-mismatch',
      message: expect.stringContaining('3 × 2 in the update and 2 × 3 in the base') as string,
    });
  });

  it('for another number format', () => {
    const bytes = Buffer.from(encodeTensors(base)).toString('latin1').replaceAll('"F32"', '"F64"');
    expect(refusal(Buffer.from(bytes, 'latin1')).code).toBe('update.damaged');
  });

  it('when it is cut short anywhere', () => {
    const bytes = encodeTensors(base);
    for (let length = 0; length < bytes.length; length++) {
      expect(refusal(bytes.subarray(0, length)).code).toBe('update.damaged');
    }
  });

  it('with a reason that does not give away a path', () => {
    expect(refusal(Buffer.from('nothing of the kind')).message).not.toContain(folder);
  });

  it('and no bytes whatever bring the reader down', () => {
    const good = Buffer.from(encodeTensors(base));
    fc.assert(
      fc.property(
        fc.nat({ max: good.length - 1 }),
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        (at, noise) => {
          const bytes = Buffer.from(good);
          bytes.set(noise.subarray(0, bytes.length - at), at);
          expect(['accepted', 'update.damaged', 'update.tensor-mismatch', 'update.not-finite']).toContain(
            refusal(bytes).code,
          );
        },
      ),
      { numRuns: 300 },
    );
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
