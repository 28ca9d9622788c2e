import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { paddedBatch } from '../../core/engine/batch.ts';
import { BaseWeights } from '../../core/engine/base-weights.ts';
import { storage } from '../../core/model/blocks.ts';
import { openGgufWeights } from '../../core/model/gguf-weights.ts';
import { openGguf } from '../../core/model/gguf.ts';
import type { WeightFormat } from '../../core/model/weights.ts';
import { Random } from '../../core/random.ts';
import { withEngine } from '../golden/checks/engine.ts';
import { ggufBytes, temporaryFolder } from '../model/fixtures.ts';
import type { FileTensor, Metadata } from '../model/fixtures.ts';

const types: Partial<Record<WeightFormat, number>> = { F32: 0, Q5_0: 6, Q4_K: 12, Q5_K: 13, Q6_K: 14 };
/** Half floats for the places in a block where its scales lie: weights of about ±0.1. */
const halves: Partial<Record<WeightFormat, readonly (readonly [number, number])[]>> = {
  Q5_0: [[0, 0x1e00]],
  Q4_K: [[0, 0x068e], [2, 0x1225]], // prettier-ignore
  Q5_K: [[0, 0x0347], [2, 0x1225]], // prettier-ignore
  Q6_K: [[208, 0x0500]],
};

/** A matrix of seeded random blocks, or a vector of ones. */
function tensor(name: string, format: WeightFormat, dimensions: readonly number[]): FileTensor {
  const random = new Random('packed-formats', name);
  const count = dimensions.reduce((product, size) => product * size, 1);
  const size = storage[format].bytes;
  const bytes = Buffer.alloc((count / storage[format].values) * size);
  for (let at = 0; at < bytes.length; at++) bytes[at] = random.below(256);
  for (let at = 0; at < bytes.length; at += size) {
    if (format === 'F32') bytes.writeFloatLE(1, at);
    for (const [place, half] of halves[format] ?? []) bytes.writeUInt16LE(half, at + place);
  }
  return { name, dimensions, type: types[format] ?? 0, bytes };
}

const metadata: Metadata = {
  'general.architecture': 'llama',
  'llama.block_count': 1,
  'llama.context_length': 64,
  'llama.embedding_length': 256,
  'llama.feed_forward_length': 512,
  'llama.attention.head_count': 4,
  'llama.attention.head_count_kv': 2,
  'llama.attention.layer_norm_rms_epsilon': 1.5e-5,
  'llama.rope.freq_base': 10000,
};

/** The formats that a file of the kind Q4_K_M mixes. */
function mixedFile(): string {
  const path = join(temporaryFolder(), 'mixed.gguf');
  const tensors = [
    tensor('token_embd.weight', 'Q6_K', [256, 48]),
    tensor('output_norm.weight', 'F32', [256]),
    tensor('blk.0.attn_norm.weight', 'F32', [256]),
    tensor('blk.0.attn_q.weight', 'Q4_K', [256, 256]),
    tensor('blk.0.attn_k.weight', 'Q5_0', [256, 128]),
    tensor('blk.0.attn_v.weight', 'Q6_K', [256, 128]),
    tensor('blk.0.attn_output.weight', 'Q4_K', [256, 256]),
    tensor('blk.0.ffn_norm.weight', 'F32', [256]),
    tensor('blk.0.ffn_gate.weight', 'Q4_K', [256, 512]),
    tensor('blk.0.ffn_up.weight', 'Q5_K', [256, 512]),
    tensor('blk.0.ffn_down.weight', 'Q4_K', [512, 256]),
  ];
  writeFileSync(path, ggufBytes(metadata, tensors));
  return path;
}

it('computes with the packed matrices of a file of mixed formats as with their float32 values', async () => {
  const path = mixedFile();
  const text = { ids: [1, 7, 30, 2, 47, 11, 5, 5, 19], labels: [1, 7, 30, 2, 47, 11, 5, 5, 19] };
  const batch = paddedBatch([text], 0);
  const scores = async (precision: 'f32' | 'int4') =>
    withEngine(openGgufWeights(openGguf(path)), precision, async (engine) => ({
      loss: (await engine.loss(batch, null)).loss,
      logits: await engine.logits(batch, [3, 8], null),
    }));
  const [plain, packed] = [await scores('f32'), await scores('int4')];
  expect(plain.logits.some((value) => Math.abs(value) > 0.5)).toBe(true);
  expect(Math.abs(packed.loss - plain.loss)).toBeLessThan(1e-4);
  packed.logits.forEach((value, at) => expect(Math.abs(value - plain.logits[at])).toBeLessThan(1e-3));
});

it('keeps what fits packed', () => {
  const store = openGgufWeights(openGguf(mixedFile()));
  const weights = new BaseWeights(store, { precision: 'int4', device: 'cpu', folder: temporaryFolder() });
  const packing = (name: string) => weights.packing(`model.layers.0.${name}.weight`);
  expect(packing('self_attn.q_proj')).toBe('int4');
  expect(packing('self_attn.k_proj')).toBe('int8');
  expect(packing('self_attn.v_proj')).toBe('float32');
  expect(packing('mlp.up_proj')).toBe('float32');
  expect(weights.packing('model.embed_tokens.weight')).toBe('float32');
  store.close();
});
