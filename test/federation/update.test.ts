/** @file Updates: what the hub makes of them in each codec, and which it refuses. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toTributaryError } from '../../core/errors.ts';
import { encodeTensors } from '../../core/federation/codec.ts';
import { addScaledCodes, CODECS } from '../../core/federation/number-formats.ts';
import { encodeTensorFile } from '../../core/federation/tensor-file.ts';
import { checkUpdate, openUpdate, writeUpdate } from '../../core/federation/update.ts';
import type { UpdateForm, UpdateParts } from '../../core/federation/update.ts';
import type { NamedTensors, Tensor } from '../../core/model/tensor.ts';
import { Random } from '../../core/random.ts';
import { largestDifference } from '../helpers/numbers.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-update-'));
  path = join(folder, 'update');
});
afterEach(() => rmSync(folder, { recursive: true }));

const A = 'layers.0.lora_A.weight';
const B = 'layers.0.lora_B.weight';
const tensor = (shape: number[], values: number[]): Tensor => ({ shape, data: Float32Array.from(values) });
const base: NamedTensors = new Map([
  [A, tensor([2, 3], [1, 2, 3, 4, 5, 6])],
  [B, tensor([3, 2], [0, 0, 0, 0, 0, 0])],
]);
const form = (changes: Partial<UpdateForm> = {}): UpdateForm => ({
  codec: 'f32',
  parts: ['weights'],
  shared: 'both',
  ...changes,
});

function written(tensors: NamedTensors | UpdateParts, of = form(), rest: NamedTensors | null = null) {
  const parts = tensors instanceof Map ? { weights: tensors } : (tensors as UpdateParts);
  return writeUpdate(of, { parts, base, rest });
}

/** What the hub makes of an update. */
function read(bytes: Uint8Array, of = form()): Record<string, Map<string, number[]>> {
  writeFileSync(path, bytes);
  checkUpdate(path, base, of);
  const update = openUpdate(path, base, of);
  const parts = Object.entries(update.parts).map(([part, tensors]) => {
    const values = [...base.keys()].flatMap((name) => {
      const addend = tensors.get(name);
      if (addend === undefined) return [];
      if ('data' in addend) return [[name, [...addend.data]] as [string, number[]]];
      const sum = Float64Array.from(base.get(name)?.data ?? []);
      addScaledCodes(sum, [{ encoded: addend.difference, weight: 1 }]);
      return [[name, [...sum]] as [string, number[]]];
    });
    return [part, new Map(values)] as const;
  });
  update.close();
  return Object.fromEntries(parts);
}

function refusal(bytes: Uint8Array, of = form()): { code: string; message: string } {
  writeFileSync(path, bytes);
  try {
    checkUpdate(path, base, of);
  } catch (error) {
    return toTributaryError(error);
  }
  return { code: 'accepted', message: '' };
}

const moved = (by: number): NamedTensors =>
  new Map(
    [...base].map(([name, { shape, data }]) => [name, { shape, data: data.map((x, i) => x + by * (i + 1)) }]),
  );
const valuesOf = (tensors: NamedTensors): Map<string, number[]> =>
  new Map([...tensors].map(([name, { data }]) => [name, [...data]]));

describe('an update', () => {
  it('in f32 is the weights themselves, in the bytes of an adapter', () => {
    const { bytes, rest } = written(moved(0.1));
    expect(Buffer.from(bytes)).toEqual(Buffer.from(encodeTensors(moved(0.1))));
    expect(read(bytes).weights).toEqual(valuesOf(moved(0.1)));
    expect(rest).toBeNull();
  });

  it.each(['bf16', 'int8'] as const)(
    'in %s comes back near to the weights, and what is missing stays',
    (codec) => {
      const { bytes, rest } = written(moved(0.1), form({ codec }));
      const { weights } = read(bytes, form({ codec }));
      for (const [name, { data }] of moved(0.1)) {
        const heard = weights.get(name) ?? [];
        const missing = rest?.get(name)?.data ?? [];
        expect(largestDifference(data, heard)).toBeLessThan(0.005);
        const sum = data.map((_, i) => heard[i] + missing[i]);
        expect(largestDifference(data, sum)).toBeLessThan(5e-7);
      }
    },
  );

  it.each(CODECS)('in %s carries what is trained and nothing else', (codec) => {
    const all = written(moved(0.1), form({ codec })).bytes.length;
    const ofB = form({ codec, shared: 'B' });
    const { bytes } = written(moved(0.1), ofB);
    expect(bytes.length).toBeLessThan(all);
    const { weights } = read(bytes, ofB);
    expect([...weights.keys()]).toEqual([B]);
    expect(refusal(written(moved(0.1), form({ codec })).bytes, ofB).code).toBe('update.tensor-mismatch');
    expect(refusal(bytes, form({ codec })).code).toBe('update.tensor-mismatch');
  });

  it.each(CODECS)('in %s says of other parts what the hub hears', (codec) => {
    const both = form({ codec, parts: ['weights', 'control'] });
    const { bytes, heard } = written({ weights: moved(0.1), control: moved(0.37) }, both);
    expect(read(bytes, both).control).toEqual(valuesOf(heard.control));
    if (codec === 'f32') expect(heard.control).toEqual(moved(0.37));
  });

  it.each(CODECS)('in %s is the same bytes for the same weights', (codec) => {
    expect(written(moved(0.3), form({ codec })).bytes).toEqual(written(moved(0.3), form({ codec })).bytes);
  });

  it.each(['bf16', 'int8'] as const)('in %s loses nothing over many rounds', (codec) => {
    const of = form({ codec });
    const rounds = 200;
    const sums = { heard: new Float64Array(6), meant: new Float64Array(6), forgotten: new Float64Array(6) };
    let rest: NamedTensors | null = null;
    for (let round = 0; round < rounds; round++) {
      const random = new Random('feedback', round);
      // A few large steps beside small ones, which a code of the block cannot tell from nothing.
      const steps = [0.001, 0.002, 0.003, 1, 1, 1].map((size) => size * (1 + 0.1 * random.normal()));
      const data = Float32Array.from(steps, (step) => step);
      const weights = new Map(base).set(B, { shape: [3, 2], data });
      const update = written(weights, of, rest);
      const heard = read(update.bytes, of).weights.get(B) ?? [];
      const alone = read(written(weights, of).bytes, of).weights.get(B) ?? [];
      rest = update.rest;
      data.forEach((value, i) => {
        sums.meant[i] += value;
        sums.heard[i] += heard[i];
        sums.forgotten[i] += alone[i];
      });
    }
    sums.meant.forEach((meant, i) => {
      // What is still missing is at most the last rest, however many rounds there were.
      expect(Math.abs(sums.heard[i] - meant)).toBeLessThanOrEqual(0.006);
      expect(Math.abs(sums.heard[i] / meant - 1)).toBeLessThan(0.03);
    });
    if (codec === 'int8') expect(sums.forgotten[0]).toBe(0);
  });
});

describe('an update is refused', () => {
  it.each([
    ['NaN', NaN],
    ['infinity', Infinity],
    ['minus infinity', -Infinity],
    ['a number beyond any adapter’s', 1e31],
  ])('for %s', (_, value) => {
    const update = new Map(base).set(B, tensor([3, 2], [0, 0, 0, value, 0, 0]));
    const { code, message } = refusal(encodeTensors(update));
    expect(code).toBe('update.not-finite');
    expect(message).toContain(`${B} holds ${Math.fround(value)} at position 3`);
  });

  it('for a scale that is no number', () => {
    const bytes = Buffer.from(written(moved(1), form({ codec: 'int8' })).bytes);
    const scales = 8 + Number(bytes.readBigUInt64LE());
    for (const [value, code] of [
      [NaN, 'update.not-finite'],
      [Infinity, 'update.not-finite'],
      [3e38, 'update.not-finite'],
      [-1, 'accepted'],
    ] as const) {
      bytes.writeFloatLE(value, scales);
      expect(refusal(bytes, form({ codec: 'int8' })).code).toBe(code);
    }
  });

  it('for a tensor too many, too few, of another shape or in another format', () => {
    const reasons: [Uint8Array, string][] = [
      [encodeTensors(new Map(base).set('extra', tensor([1], [1]))), 'extra'],
      [encodeTensors(new Map([...base].slice(1))), `lacks ${A}`],
      [
        encodeTensors(new Map(base).set(A, tensor([3, 2], [1, 2, 3, 4, 5, 6]))),
        '3 × 2 in the update and 2 × 3',
      ],
      [encodeTensorFile('bf16', base), 'is bf16 in the update; the plan says f32'],
      [encodeTensorFile('int8', base), 'is int8 in the update; the plan says f32'],
      [
        written({ weights: base, control: base }, form({ parts: ['weights', 'control'] })).bytes,
        `control:${A}`,
      ],
    ];
    for (const [bytes, reason] of reasons) {
      expect(refusal(bytes)).toMatchObject({
        code: 'update.tensor-mismatch',
        message: expect.stringContaining(reason) as string,
      });
    }
    const both = form({ parts: ['weights', 'control'] });
    expect(refusal(encodeTensors(base), both).message).toContain(`lacks control:${A}`);
  });

  it('without its scales, or with scales of nothing', () => {
    const text = Buffer.from(encodeTensorFile('int8', base)).toString('latin1');
    for (const [from, to] of [
      [`"${A}#scale"`, `"${A}#scalf"`],
      [`"${A}"`, `"${A.replace('A', 'C')}"`],
      ['"I8"', '"U8"'],
    ]) {
      const bytes = Buffer.from(text.replace(from, to), 'latin1');
      expect(refusal(bytes, form({ codec: 'int8' })).code).toMatch(/^update\.(damaged|tensor-mismatch)$/);
    }
  });

  it('when it is cut short anywhere, or longer than it says', () => {
    const bytes = encodeTensorFile('int8', base);
    for (let length = 0; length < bytes.length; length++) {
      expect(refusal(bytes.subarray(0, length), form({ codec: 'int8' })).code).toBe('update.damaged');
    }
    expect(refusal(Buffer.concat([bytes, Buffer.from('more')]), form({ codec: 'int8' })).code).toBe(
      'update.damaged',
    );
  });

  it('with a reason that does not give away a path', () => {
    expect(refusal(Buffer.from('nothing of the kind')).message).not.toContain(folder);
  });

  it.each(CODECS)('and no bytes whatever bring the reader of %s down', (codec) => {
    const good = Buffer.from(encodeTensorFile(codec, base));
    const noise = fc.uint8Array({ minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.nat({ max: good.length - 1 }), noise, (at, bytes) => {
        const bad = Buffer.from(good);
        bad.set(bytes.subarray(0, bad.length - at), at);
        expect(['accepted', 'update.damaged', 'update.tensor-mismatch', 'update.not-finite']).toContain(
          refusal(bad, form({ codec })).code,
        );
      }),
      { numRuns: 300 },
    );
  });
});
