import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { encodeSafetensors, openSafetensors, readSafetensors } from '../../core/model/safetensors.ts';
import { codeOf } from '../helpers/errors.ts';
import { temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();

function raw(header: string | Record<string, unknown>, data: Uint8Array): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

function file(bytes: Uint8Array): string {
  const path = join(folder, 'case.safetensors');
  writeFileSync(path, bytes);
  return path;
}

const tensors = new Map([
  ['b', { shape: [2, 3], data: Float32Array.of(1, -2, 3.5, 0, 5, 6) }],
  ['a', { shape: [1], data: Float32Array.of(Math.fround(0.1)) }],
  ['none', { shape: [0, 4], data: new Float32Array(0) }],
]);

describe('safetensors', () => {
  it('reads back what it writes, in order, with the same bytes each time', () => {
    const bytes = encodeSafetensors(tensors);
    expect(encodeSafetensors(tensors).equals(bytes)).toBe(true);
    const back = readSafetensors(file(bytes));
    expect(back.get('b')).toEqual(tensors.get('b'));
    expect(back.get('a')).toEqual(tensors.get('a'));
    expect(back.get('none')?.shape).toEqual([0, 4]);
    expect(Number(bytes.readBigUInt64LE()) % 8).toBe(0);
    const opened = openSafetensors(file(bytes));
    expect(opened.metadata).toEqual({ format: 'pt' });
    opened.close();
  });

  it('reads half floats at offsets that are not aligned', () => {
    const header = {
      byte: { dtype: 'F16', shape: [1], data_offsets: [0, 2] },
      odd: { dtype: 'F32', shape: [1], data_offsets: [2, 6] },
      brain: { dtype: 'BF16', shape: [2], data_offsets: [6, 10] },
    };
    const data = Buffer.alloc(10);
    data.writeUInt16LE(0xc500, 0);
    data.writeFloatLE(1.5, 2);
    data.writeUInt16LE(0x3f80, 6);
    data.writeUInt16LE(0xbf80, 8);
    for (const blanks of ['', ' ', '  ', '   ']) {
      const back = readSafetensors(file(raw(JSON.stringify(header) + blanks, data)));
      expect([...back.values()].map((tensor) => [...tensor.data])).toEqual([[-5], [1.5], [1, -1]]);
    }
  });

  const entry = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  it.each<[string, Buffer, string]>([
    ['an empty file', Buffer.alloc(0), 'not-a-model'],
    ['something else', Buffer.from('GIF89a something'), 'not-a-model'],
    ['a header longer than the file', raw({ a: entry }, Buffer.alloc(8)).subarray(0, 30), 'cut-short'],
    ['data cut short', raw({ a: entry }, Buffer.alloc(7)), 'cut-short'],
    ['broken JSON', raw('{"a":', Buffer.alloc(8)), 'damaged'],
    ['a size that does not fit the shape', raw({ a: { ...entry, shape: [3] } }, Buffer.alloc(8)), 'damaged'],
    ['an entry that is no tensor', raw({ a: { dtype: 'F32' } }, Buffer.alloc(8)), 'damaged'],
    [
      'bytes between tensors',
      raw({ a: entry, b: { ...entry, data_offsets: [12, 20] } }, Buffer.alloc(20)),
      'damaged',
    ],
    ['overlapping tensors', raw({ a: entry, b: entry }, Buffer.alloc(8)), 'damaged'],
    ['integers', raw({ a: { ...entry, dtype: 'I32' } }, Buffer.alloc(8)), 'unsupported-tensor-type'],
    [
      'offsets that run backwards',
      raw({ a: { ...entry, data_offsets: [8, 0] } }, Buffer.alloc(8)),
      'damaged',
    ],
  ])('refuses %s', (_, bytes, code) => {
    expect(codeOf(() => readSafetensors(file(bytes)))).toBe(`model.${code}`);
  });

  it('survives any cut and any changed bytes', () => {
    const whole = encodeSafetensors(tensors);
    const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 5 });
    fc.assert(
      fc.property(changes, fc.nat(whole.length), (mutations, length) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of mutations) bytes[at] = value;
        try {
          readSafetensors(file(bytes.subarray(0, length)));
        } catch (error) {
          expect(error).toBeInstanceOf(TributaryError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
