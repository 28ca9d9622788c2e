import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { firstUses } from '../../core/fetching/first-use.ts';
import { modelPlace } from '../../core/model/catalogue.ts';
import { openModel } from '../../core/model/open.ts';
import { codeOfAsync } from '../helpers/errors.ts';
import { ggufBytes, temporaryFolder } from './fixtures.ts';
import type { FileTensor, Metadata } from './fixtures.ts';

const home = temporaryFolder();
const before = process.env['TRIBUTARY_HOME'];
beforeAll(() => (process.env['TRIBUTARY_HOME'] = home));
afterAll(() => {
  if (before === undefined) delete process.env['TRIBUTARY_HOME'];
  else process.env['TRIBUTARY_HOME'] = before;
});

const zeros = (name: string, ...shape: number[]): FileTensor => ({
  name,
  dimensions: [...shape].reverse(),
  type: 0,
  bytes: new Uint8Array(4 * shape.reduce((product, size) => product * size, 1)),
});

/** A Qwen3 with heads of 12 where hidden size / heads is 8. */
function qwen3(change: Metadata = {}): Buffer {
  const tokens = ['a', 'b', '<|im_end|>', 'c'];
  const metadata: Metadata = {
    'general.architecture': 'qwen3',
    'qwen3.block_count': 1,
    'qwen3.context_length': 128,
    'qwen3.embedding_length': 32,
    'qwen3.feed_forward_length': 48,
    'qwen3.attention.head_count': 4,
    'qwen3.attention.head_count_kv': 2,
    'qwen3.attention.key_length': 12,
    'qwen3.attention.value_length': 12,
    'qwen3.attention.layer_norm_rms_epsilon': 1.5e-6,
    'qwen3.rope.freq_base': 1000000,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'qwen2',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': [1, 1, 3, 1],
    'tokenizer.ggml.eos_token_id': 2,
    ...change,
  };
  return ggufBytes(metadata, [
    zeros('token_embd.weight', 4, 32),
    zeros('output_norm.weight', 32),
    zeros('blk.0.attn_norm.weight', 32),
    zeros('blk.0.attn_q.weight', 48, 32),
    zeros('blk.0.attn_k.weight', 24, 32),
    zeros('blk.0.attn_v.weight', 24, 32),
    zeros('blk.0.attn_output.weight', 32, 48),
    zeros('blk.0.attn_q_norm.weight', 12),
    zeros('blk.0.attn_k_norm.weight', 12),
    zeros('blk.0.ffn_norm.weight', 32),
    zeros('blk.0.ffn_gate.weight', 48, 32),
    zeros('blk.0.ffn_up.weight', 48, 32),
    zeros('blk.0.ffn_down.weight', 32, 48),
  ]);
}

it('opens a Qwen3 of a GGUF file, remembers the hash of an unpinned model, and refuses another then', async () => {
  const path = join(home, 'models', 'Qwen3-0.6B-Q4_K_M.gguf');
  mkdirSync(join(home, 'models'));
  writeFileSync(path, qwen3());
  const model = await openModel('qwen3-0.6b');
  model.close();
  expect(model.configuration).toMatchObject({
    modelType: 'qwen3',
    headSize: 12,
    headNorms: true,
    attentionBias: false,
    tiedEmbedding: true,
    ropeTheta: 1e6,
  });
  expect(model.identity.id).toBe('qwen3-0.6b');
  expect(await firstUses(modelPlace(join(home, 'models')))).toEqual({ 'qwen3-0.6b': model.identity.sha256 });
  const byPath = await openModel(path);
  byPath.close();
  expect(byPath.identity).toEqual(model.identity);
  writeFileSync(path, qwen3({ 'general.name': 'another' }));
  expect(await codeOfAsync(() => openModel('qwen3-0.6b'))).toBe('model.hash-mismatch');
  const other = await openModel(path);
  other.close();
  expect(other.identity.id).toBe('Qwen3-0.6B-Q4_K_M');
});

it('reads a window from a GGUF file', async () => {
  const path = join(home, 'window.gguf');
  writeFileSync(path, qwen3({ 'qwen3.attention.sliding_window': 16 }));
  const model = await openModel(path);
  model.close();
  expect(model.configuration.slidingWindow).toBe(16);
});
