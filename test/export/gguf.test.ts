import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { exportAdapter } from '../../core/export/export.ts';
import type { WeightType } from '../../core/export/formats.ts';
import type { Adapter } from '../../core/model/adapter.ts';
import { unpack } from '../../core/model/blocks.ts';
import type { RopeScaling } from '../../core/model/configuration.ts';
import { openGguf } from '../../core/model/gguf.ts';
import { ggufName, huggingFaceName, ropeFactors } from '../../core/model/gguf-weights.ts';
import { halfBits, halfTable } from '../../core/model/half.ts';
import { openModel } from '../../core/model/open.ts';
import { pack } from '../../core/model/pack.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { nameOfSplit, namedSplits, translatePattern } from '../../core/model/tokenizers/splits.ts';
import { Random } from '../../core/random.ts';
import { codeOfAsync } from '../helpers/errors.ts';
import { temporaryFolder } from '../model/fixtures.ts';
import { largestDifference } from '../helpers/numbers.ts';
import { nextScores, writeRandomAdapter } from './scores.ts';

const root = temporaryFolder();
const adapterFolder = join(root, 'adapter');
let adapter: Adapter;

beforeAll(async () => {
  adapter = await writeRandomAdapter(adapterFolder);
});

/** Merges an adapter of its own into a model other than `tiny`. */
async function exported(name: string, { model = 'tiny', type }: { model?: string; type?: WeightType } = {}) {
  const out = join(root, name);
  const folder = model === 'tiny' ? adapterFolder : join(root, `adapter-${name}`);
  if (model !== 'tiny') await writeRandomAdapter(folder, model);
  await exportAdapter({ adapter: folder, model, format: 'gguf', out, type });
  return join(out, 'model.gguf');
}

describe('a merged GGUF file', () => {
  it.each([
    ['float32', 2e-4],
    ['bfloat16', 0.1],
    ['q8_0', 0.1],
  ] as const)('of %s scores tokens as the adapter does on its base', async (type, tolerance) => {
    const path = await exported(type, { type });
    const expected = await nextScores('tiny', { adapter, cache: root });
    const found = await nextScores(path, { adapter: null, cache: join(root, type) });
    expect(largestDifference(found, expected)).toBeLessThan(tolerance);
    const base = await nextScores('tiny', { adapter: null, cache: root });
    expect(largestDifference(found, base)).toBeGreaterThan(largestDifference(found, expected));
  });

  it('carries the tokenizer and the chat template of a model that came as a folder', async () => {
    const [model, tiny] = [await openModel(await exported('texts')), await openModel('tiny')];
    for (const text of [
      'Fieber, 39 °C',
      '  two\n\nlines\t',
      "it's 12345 !?",
      '<|im_start|>user',
      '中文 🙂',
    ]) {
      for (const special of [true, false]) {
        expect(model.tokenizer.encode(text, { special })).toEqual(tiny.tokenizer.encode(text, { special }));
      }
    }
    expect(model.tokenizer.endOfSequence).toEqual(tiny.tokenizer.endOfSequence);
    const messages = [{ role: 'user', content: 'What helps?' }];
    const render = { generationPrompt: true };
    expect(model.chatTemplate?.render(messages, render)).toBe(tiny.chatTemplate?.render(messages, render));
    model.close();
    tiny.close();
  });

  it('keeps what the file of its base says of itself', async () => {
    const first = openGguf(await exported('first', { type: 'float32' }));
    const again = openGguf(await exported('again', { model: first.path, type: 'q8_0' }));
    const told = ({ metadata }: typeof first) =>
      Object.fromEntries([...metadata].filter(([key]) => key !== 'general.file_type'));
    expect(told(again)).toEqual(told(first));
    expect([first, again].map(({ metadata }) => metadata.get('general.file_type'))).toEqual([0, 7]);
    first.close();
    again.close();
  });

  it('is refused where the tokenizer has no form in such files', async () => {
    const folder = join(root, 'merged');
    await exportAdapter({ adapter: adapterFolder, model: 'tiny', format: 'merged', out: folder });
    const path = join(folder, 'tokenizer.json');
    const model = await openModel(folder);
    const tokenizer = JSON.parse(Buffer.from(model.files()['tokenizer.json']).toString('utf8')) as object;
    model.close();
    const split = { type: 'Split', pattern: { Regex: '\\p{L}+' }, behavior: 'Isolated', invert: false };
    const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
    const pre_tokenizer = { type: 'Sequence', pretokenizers: [split, byteLevel] };
    writeFileSync(path, JSON.stringify({ ...tokenizer, pre_tokenizer }));
    expect(await codeOfAsync(() => exported('strange', { model: folder }))).toBe('export.unavailable');
  });
});

describe('the parts of a GGUF file', () => {
  it('has halves that are the nearest ones', () => {
    const table = halfTable();
    const wrong: number[] = [];
    const check = (value: number, bits: number) => {
      if (halfBits(value) !== bits) wrong.push(value);
    };
    for (let bits = 0; bits < 0x7c00; bits++) {
      check(table[bits], bits);
      check(-table[bits], bits | 0x8000);
      if (bits === 0x7bff) continue;
      const middle = (table[bits] + table[bits + 1]) / 2;
      check(middle, bits + (bits % 2));
      check(middle * (1 + 1e-6), bits + 1);
    }
    expect(wrong).toEqual([]);
    expect(halfBits(65519)).toBe(0x7bff);
    expect(halfBits(65520)).toBe(0x7c00);
  });

  it('has blocks of eight bits within half a step of their values', () => {
    const random = new Random('blocks');
    const values = Float32Array.from({ length: 64 * 96 }, () => random.normal());
    values.fill(0, 32, 64);
    const bytes = Buffer.from(pack('Q8_0', values));
    const stored = { bytes, rows: 64, columns: 96, rowOrder: (row: number) => row };
    const read = unpack('Q8_0', stored);
    for (let start = 0; start < values.length; start += 32) {
      const block = values.subarray(start, start + 32);
      const step = Math.max(...block.map(Math.abs)) / 127;
      // A half in place of the step itself moves the largest value by 127 · 2⁻¹¹ of one.
      expect(largestDifference(block, read.subarray(start, start + 32))).toBeLessThanOrEqual(step * 0.563);
    }
  });

  it('has names that lead back', () => {
    const names = [
      'token_embd',
      'output_norm',
      'output',
      'blk.0.attn_q',
      'blk.11.ffn_down',
      'blk.3.attn_k_norm',
    ];
    for (const name of names.flatMap((module) => [`${module}.weight`, `${module}.bias`])) {
      expect(ggufName(huggingFaceName(name) ?? '')).toBe(name);
    }
    expect(() => ggufName('model.layers.0.mlp.constructor.weight')).toThrow();
  });

  it('has the frequency factors of Llama 3', () => {
    expect(ropeFactors(TINY_CONFIGURATION)).toBeNull();
    const ropeScaling: RopeScaling = {
      type: 'llama3',
      factor: 32,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaximumPositions: 8192,
    };
    const factors = ropeFactors({ ...TINY_CONFIGURATION, ropeTheta: 500000, ropeScaling });
    const expected = Array.from({ length: 8 }, (_, index) => {
      const wavelength = 2 * Math.PI * 500000 ** ((2 * index) / 16);
      if (wavelength < 8192 / 4) return 1;
      if (wavelength > 8192) return 32;
      const blend = (8192 / wavelength - 1) / 3;
      return 1 / ((1 - blend) / 32 + blend);
    });
    expect(largestDifference(factors ?? [], expected)).toBeLessThan(1e-5);
  });

  it('names ways of cutting text that it knows, those of published files among them', () => {
    const known = [
      ['llama-bpe', '\\p{N}{1,3}'],
      ['qwen2', '\\p{N}'],
    ] as const;
    for (const [name, digits] of known) {
      const pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
      const split = translatePattern(pattern);
      expect(split && nameOfSplit([split])).toBe(name);
    }
    expect(nameOfSplit(namedSplits['gpt-2'])).toBe('gpt-2');
    expect(nameOfSplit(namedSplits['smollm'])).toBe('smollm');
    expect(nameOfSplit([/\p{L}+/gu])).toBeNull();
  });
});
