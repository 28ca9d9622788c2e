import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { storage } from '../../core/model/blocks.ts';
import { huggingFaceName, openGgufWeights } from '../../core/model/gguf-weights.ts';
import { openGguf } from '../../core/model/gguf.ts';
import type { WeightFormat } from '../../core/model/weights.ts';
import { checkBlocks } from '../golden/checks/blocks.ts';
import { checkDequant } from '../golden/checks/model.ts';
import { codeOf } from '../helpers/errors.ts';
import { countingTensor, ggufBytes, llamaMetadata, smollm2File, temporaryFolder } from './fixtures.ts';
import type { FileTensor, Metadata } from './fixtures.ts';

const folder = temporaryFolder();
let files = 0;

function written(bytes: Uint8Array): string {
  const path = join(folder, `model-${files++}.gguf`);
  writeFileSync(path, bytes);
  return path;
}

function open(metadata: Metadata, tensors: readonly FileTensor[]) {
  return openGgufWeights(openGguf(written(ggufBytes(metadata, tensors))));
}

const embedding = countingTensor('token_embd.weight', 8, 64);
const small = ggufBytes({ ...llamaMetadata, 'tokenizer.ggml.tokens': ['a', 'bc', 'd'] }, [
  embedding,
  countingTensor('blk.0.attn_q.weight', 64, 64),
]);

describe('header', () => {
  it('maps the metadata to a configuration', () => {
    const store = open(llamaMetadata, [embedding]);
    expect(store.configuration).toEqual({
      modelType: 'llama',
      hiddenSize: 64,
      intermediateSize: 96,
      layers: 1,
      attentionHeads: 4,
      keyValueHeads: 2,
      headSize: 16,
      vocabularySize: 8,
      maximumPositions: 128,
      rmsNormEpsilon: Math.fround(1.5e-5),
      ropeTheta: 10000,
      ropeScaling: null,
      tiedEmbedding: true,
      attentionBias: false,
    });
    store.close();
  });

  it('recognises the frequency factors of Llama 3', () => {
    const factors = Float32Array.from({ length: 8 }, (_, index) => {
      const wavelength = 2 * Math.PI * 500000 ** (index / 8);
      if (wavelength < 8192 / 4) return 1;
      if (wavelength > 8192) return 32;
      const blend = (8192 / wavelength - 1) / 3;
      return 1 / ((1 - blend) / 32 + blend);
    });
    const tensor = (values: Float32Array): FileTensor => ({
      name: 'rope_freqs.weight',
      dimensions: [8],
      type: 0,
      bytes: new Uint8Array(values.buffer),
    });
    const metadata = { ...llamaMetadata, 'llama.rope.freq_base': 500000 };
    const store = open(metadata, [embedding, tensor(factors)]);
    expect(store.configuration.ropeScaling).toEqual({
      type: 'llama3',
      factor: 32,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaximumPositions: 8192,
    });
    expect(store.names).toEqual(['model.embed_tokens.weight']);
    const other = tensor(factors.map((value, index) => (index === 6 ? value * 1.1 : value)));
    expect(codeOf(() => open(metadata, [embedding, other]))).toBe('model.unsupported-architecture');
  });

  const one: FileTensor = {
    name: 'blk.0.ffn_up.weight',
    dimensions: [64, 1],
    type: 0,
    bytes: new Uint8Array(256),
  };
  it.each<[string, Metadata, FileTensor[], string]>([
    [
      'an unknown architecture',
      { ...llamaMetadata, 'general.architecture': 'mamba' },
      [embedding],
      'unsupported-architecture',
    ],
    ['a missing field', { 'general.architecture': 'llama' }, [embedding], 'damaged'],
    ['no embedding', llamaMetadata, [one], 'tensor-missing'],
    [
      'a tensor nobody knows',
      llamaMetadata,
      [embedding, { ...one, name: 'blk.0.ssm_a.weight' }],
      'unsupported-architecture',
    ],
    ['a Q3_K tensor', llamaMetadata, [embedding, { ...one, type: 11 }], 'unsupported-tensor-type'],
    [
      'rows that do not fill a block',
      llamaMetadata,
      [embedding, { ...one, type: 3, dimensions: [40, 1] }],
      'damaged',
    ],
    ['a tensor past the end', llamaMetadata, [embedding, { ...one, dimensions: [64, 4096] }], 'cut-short'],
    [
      'a tensor too large to count',
      llamaMetadata,
      [embedding, { ...one, dimensions: [2 ** 40, 2 ** 40] }],
      'damaged',
    ],
    ['the same tensor twice', llamaMetadata, [embedding, embedding], 'damaged'],
    [
      'a mixture of experts',
      { ...llamaMetadata, 'llama.expert_count': 8 },
      [embedding],
      'unsupported-architecture',
    ],
    [
      'yarn',
      { ...llamaMetadata, 'llama.rope.scaling.type': 'yarn' },
      [embedding],
      'unsupported-architecture',
    ],
  ])('refuses %s', (_, metadata, tensors, code) => {
    expect(codeOf(() => open(metadata, tensors))).toBe(`model.${code}`);
  });

  it('tells a file that is absent, a folder, another format and another version', () => {
    expect(codeOf(() => openGguf(join(folder, 'absent.gguf')))).toBe('model.not-found');
    mkdirSync(join(folder, 'folder.gguf'));
    expect(codeOf(() => openGguf(join(folder, 'folder.gguf')))).toBe('model.not-a-model');
    expect(codeOf(() => openGguf(written(Buffer.from('PK\u0003\u0004 something'))))).toBe(
      'model.not-a-model',
    );
    const version1 = Buffer.from(small);
    version1.writeUInt32LE(1, 4);
    expect(codeOf(() => openGguf(written(version1)))).toBe('model.not-a-model');
  });

  it('refuses counts that the file cannot hold without reserving memory for them', () => {
    for (const position of [8, 16]) {
      const hostile = Buffer.from(small);
      hostile.writeBigUInt64LE(2n ** 60n, position);
      expect(codeOf(() => openGguf(written(hostile)))).toBe('model.damaged');
      hostile.writeBigUInt64LE(2n ** 40n, position);
      expect(codeOf(() => openGguf(written(hostile)))).toBe('model.cut-short');
    }
  });

  it('refuses every file cut short', () => {
    for (let length = 0; length < small.length; length += length < 700 ? 7 : 997) {
      const path = written(small.subarray(0, length));
      expect(codeOf(() => openGgufWeights(openGguf(path)))).toMatch(/^model\.(cut-short|not-a-model)$/);
    }
  });

  it('survives any changed bytes of the header', () => {
    const header = small.length - 64 * 72 * 4;
    const mutations = fc.array(fc.tuple(fc.nat(header + 40), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(mutations, (changes) => {
        const bytes = Buffer.from(small);
        for (const [at, value] of changes) bytes[at] = value;
        const path = join(folder, 'mutated.gguf');
        writeFileSync(path, bytes);
        try {
          const store = openGgufWeights(openGguf(path));
          for (const name of store.names) store.readFloat32(name);
          store.close();
        } catch (error) {
          expect(error).toBeInstanceOf(TributaryError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('tensors', () => {
  it('names them as Hugging Face does', () => {
    expect(huggingFaceName('blk.11.ffn_gate.weight')).toBe('model.layers.11.mlp.gate_proj.weight');
    expect(huggingFaceName('blk.0.attn_q.bias')).toBe('model.layers.0.self_attn.q_proj.bias');
    expect(huggingFaceName('output.weight')).toBe('lm_head.weight');
    expect(huggingFaceName('blk.0.constructor.weight')).toBeNull();
  });

  it('undoes the row order of q and k for llama and leaves qwen2 alone', () => {
    const tensors = [
      embedding,
      countingTensor('blk.0.attn_q.weight', 64, 64),
      countingTensor('blk.0.attn_v.weight', 32, 64),
    ];
    const firstColumn = (metadata: Metadata, name: string) => {
      const store = open(metadata, tensors);
      const values = store.readFloat32(`model.layers.0.self_attn.${name}.weight`);
      store.close();
      return Array.from({ length: values.length / 64 }, (_, row) => values[64 * row]);
    };
    const q = firstColumn(llamaMetadata, 'q_proj');
    expect(q.slice(0, 16)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15]);
    expect(q.slice(16, 20)).toEqual([16, 18, 20, 22]);
    const inOrder = (count: number) => Array.from({ length: count }, (_, row) => row);
    expect(firstColumn(llamaMetadata, 'v_proj')).toEqual(inOrder(32));
    const qwen2: Metadata = Object.fromEntries(
      Object.entries(llamaMetadata).map(([key, value]) => [
        key.replace('llama', 'qwen2'),
        value === 'llama' ? 'qwen2' : value,
      ]),
    );
    expect(firstColumn(qwen2, 'q_proj')).toEqual(inOrder(64));
  });

  it('unpacks and packs blocks as the reference does, bit for bit', () => {
    const checks = checkBlocks(join(import.meta.dirname, '../golden/gguf-blocks/blocks.json'));
    expect(checks.filter((entry) => entry.status !== 'passed')).toEqual([]);
    expect(checks.map(({ name }) => name)).toEqual([
      'unpacks Q4_0',
      'packs Q4_0 as int4',
      'unpacks Q4_1',
      'packs Q4_1 as int4',
      'unpacks Q5_0',
      'packs Q5_0 as int8',
      'unpacks Q5_1',
      'unpacks Q8_0',
      'packs Q8_0 as int8',
      'unpacks Q4_K',
      'packs Q4_K as int4',
      'unpacks Q5_K',
      'unpacks Q6_K',
    ]);
  });

  it.each<[WeightFormat, number]>([
    ['Q4_0', 2],
    ['Q4_1', 3],
    ['Q5_0', 6],
    ['Q8_0', 8],
    ['Q4_K', 12],
  ])('packs %s to exactly the values it unpacks, in the order of heads', (format, type) => {
    const rowBytes = (256 / storage[format].values) * storage[format].bytes;
    const bytes = Buffer.alloc(64 * rowBytes);
    for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 97 + (at >> 3)) & 255;
    for (let at = 0; at < bytes.length; at += storage[format].bytes) {
      bytes.writeUInt16LE(0x2c00 + ((at * 31) % 512), at);
      if (/Q4_[1K]/.test(format)) bytes.writeUInt16LE(0xa800 + ((at * 17) % 512), at + 2);
    }
    const store = open(llamaMetadata, [
      embedding,
      { name: 'blk.0.attn_q.weight', dimensions: [256, 64], type, bytes },
      { name: 'blk.0.ffn_up.weight', dimensions: [256, 64], type, bytes },
    ]);
    const name = 'model.layers.0.self_attn.q_proj.weight';
    const values = store.readFloat32(name);
    const inOrder = store.readFloat32('model.layers.0.mlp.up_proj.weight');
    expect(values.subarray(256, 512)).toEqual(inOrder.subarray(512, 768));
    const packed = store.readPacked(name);
    expect(store.describe(name)).toEqual({ shape: [64, 256], format });
    expect(store.readPacked('model.embed_tokens.weight')).toBeNull();
    if (packed === null) throw new Error('not packed');
    const rebuilt = Float32Array.from(values, (_, at) => {
      const block = Math.floor(at / 32);
      if (packed.kind === 'int8') return packed.scale[block] * packed.values[at];
      const pair = packed.values[at >> 1];
      return packed.scale[block] * (at % 2 === 0 ? pair & 15 : pair >> 4) + packed.minimum[block];
    });
    expect(rebuilt).toEqual(values);
    store.close();
  });

  it.each<[WeightFormat, number, readonly number[], readonly number[]]>([
    ['F16', 1, [0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x0400], [1, -2, 2 ** -24, 65504, -0, 2 ** -14]],
    [
      'BF16',
      30,
      [0x3f80, 0xc000, 0x4049, 0x0001, 0x8000, 0x7f7f],
      [1, -2, 3.140625, 2 ** -133, -0, 3.3895313892515355e38],
    ],
  ])('reads %s', (_, type, halves, expected) => {
    const bytes = Buffer.alloc(12);
    halves.forEach((half, index) => bytes.writeUInt16LE(half, 2 * index));
    const store = open(llamaMetadata, [
      embedding,
      { name: 'output_norm.weight', dimensions: [6], type, bytes },
    ]);
    expect([...store.readFloat32('model.norm.weight')]).toEqual(expected);
    store.close();
  });

  it('names a tensor that is missing', () => {
    const store = open(llamaMetadata, [embedding]);
    expect(() => store.readFloat32('lm_head.weight')).toThrow(/lm_head\.weight/);
    expect(codeOf(() => store.describe('lm_head.weight'))).toBe('model.tensor-missing');
    store.close();
  });
});

const smollm2 = smollm2File();
it.skipIf(smollm2 === null)('unpacks SmolLM2 exactly as the reference does', () => {
  const checks = checkDequant(join(import.meta.dirname, '../golden/smollm2/dequant.json'), smollm2 ?? '');
  expect(checks.length).toBeGreaterThan(5);
  expect(checks.filter((entry) => entry.status !== 'passed')).toEqual([]);
});
