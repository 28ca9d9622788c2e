import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configurationFromHuggingFace } from '../../core/model/huggingface-configuration.ts';
import { openHuggingFaceWeights } from '../../core/model/huggingface-weights.ts';
import { encodeSafetensors } from '../../core/model/safetensors.ts';
import { codeOf } from '../helpers/errors.ts';
import { temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();

describe('a Hugging Face folder', () => {
  const golden = join(import.meta.dirname, '../golden/llama-tiny');
  const matrix = (rows: number, value: number) => ({
    shape: [rows, 2],
    data: new Float32Array(2 * rows).fill(value),
  });
  const embedding: [string, ReturnType<typeof matrix>] = ['model.embed_tokens.weight', matrix(4, 1)];

  const scaling = {
    type: 'llama3',
    factor: 8,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalMaximumPositions: 64,
  };
  it.each([
    [
      'llama-tiny',
      { modelType: 'llama', headSize: 16, keyValueHeads: 2, rmsNormEpsilon: 1e-5, tiedEmbedding: true },
    ],
    [
      'qwen2-tiny',
      { modelType: 'qwen2', headSize: 12, attentionBias: true, ropeTheta: 1e6, tiedEmbedding: false },
    ],
    ['qwen3-tiny', { modelType: 'qwen3', headSize: 12, headNorms: true, attentionBias: false }],
    ['mistral-tiny', { modelType: 'mistral', slidingWindow: 5, tiedEmbedding: false }],
    ['llama3-rope-tiny', { keyValueHeads: 1, ropeTheta: 1e4, ropeScaling: scaling, intermediateSize: 128 }],
  ])('reads both forms of %s alike', (name, expected) => {
    const read = (form: string): unknown =>
      JSON.parse(readFileSync(join(import.meta.dirname, '../golden', name, form), 'utf8'));
    const configuration = configurationFromHuggingFace(read('config.json'), 'config.json');
    expect(configuration).toMatchObject(expected);
    expect(configurationFromHuggingFace(read('config.v5.json'), 'config.v5.json')).toEqual(configuration);
  });

  it.each<[Record<string, unknown>, number | undefined]>([
    [{ model_type: 'mistral', sliding_window: 8 }, 8],
    [{ model_type: 'mistral', sliding_window: null }, undefined],
    [{ model_type: 'mistral' }, 4096],
    [{ model_type: 'llama', sliding_window: 8 }, undefined],
    [{ model_type: 'qwen2', sliding_window: 8 }, undefined],
    [{ model_type: 'qwen2', use_sliding_window: true, sliding_window: 8, max_window_layers: 2 }, undefined],
    [{ model_type: 'qwen3', use_sliding_window: true, sliding_window: 8, max_window_layers: 0 }, 8],
    [
      {
        model_type: 'qwen3',
        use_sliding_window: true,
        sliding_window: 8,
        layer_types: ['sliding_attention', 'sliding_attention'],
      },
      8,
    ],
  ])('reads the window of %j', (change, window) => {
    const config: unknown = JSON.parse(readFileSync(join(golden, 'config.json'), 'utf8'));
    const found = configurationFromHuggingFace({ ...(config as object), ...change }, 'config.json');
    expect(found.slidingWindow).toBe(window);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['another architecture', { model_type: 'gemma4' }, 'unsupported-architecture'],
    ['another activation', { hidden_act: 'gelu' }, 'unsupported-architecture'],
    ['yarn', { rope_scaling: { type: 'yarn', factor: 2 } }, 'unsupported-architecture'],
    ['llama3 without its parameters', { rope_scaling: { rope_type: 'llama3', factor: 2 } }, 'damaged'],
    ['heads that cannot be shared', { num_key_value_heads: 3 }, 'damaged'],
    ['a field of the wrong type', { hidden_size: '64' }, 'damaged'],
    ['no type at all', { model_type: undefined }, 'damaged'],
    ['a bias in the attention', { model_type: 'qwen3', attention_bias: true }, 'unsupported-architecture'],
    [
      'a window in some layers',
      { model_type: 'qwen2', use_sliding_window: true, sliding_window: 8, max_window_layers: 1 },
      'unsupported-architecture',
    ],
  ])('refuses %s', (_, change, code) => {
    const config: unknown = JSON.parse(readFileSync(join(golden, 'config.json'), 'utf8'));
    const action = () => configurationFromHuggingFace({ ...(config as object), ...change }, 'config.json');
    expect(codeOf(action)).toBe(`model.${code}`);
  });

  type Shards = Readonly<Record<string, readonly (readonly [string, ReturnType<typeof matrix>])[]>>;
  /** A folder of shards with the index that belongs to them, changed by `change`. */
  const sharded = (shards: Shards, change: Record<string, string> = {}): string => {
    const place = mkdtempSync(join(folder, 'shards-'));
    copyFileSync(join(golden, 'config.json'), join(place, 'config.json'));
    const map: Record<string, string> = {};
    for (const [name, entries] of Object.entries(shards)) {
      writeFileSync(join(place, name), encodeSafetensors(new Map(entries)));
      for (const [tensor] of entries) map[tensor] = name;
    }
    const index = { metadata: { total_size: 7 }, weight_map: { ...map, ...change } };
    writeFileSync(join(place, 'model.safetensors.index.json'), JSON.stringify(index));
    return place;
  };
  const norm = ['model.norm.weight', matrix(1, 2)] as const;
  const shards: Shards = {
    'one.safetensors': [embedding],
    'two.safetensors': [norm, ['lm_head.weight', matrix(4, 1)]],
  };

  it('joins shards, and drops the copy of a tied embedding', () => {
    const store = openHuggingFaceWeights(sharded(shards));
    expect(store.names).toEqual(['model.embed_tokens.weight', 'model.norm.weight']);
    expect([...store.readFloat32('model.norm.weight')]).toEqual([2, 2]);
    expect(store.describe('model.embed_tokens.weight')).toEqual({ shape: [4, 2], format: 'F32' });
    expect(store.readPacked('model.norm.weight')).toBeNull();
    expect(codeOf(() => store.readFloat32('model.layers.0.mlp.up_proj.weight'))).toBe('model.tensor-missing');
    store.close();
  });

  it('prefers a single file to shards', () => {
    const place = sharded(shards);
    writeFileSync(join(place, 'model.safetensors'), encodeSafetensors(new Map([embedding])));
    const store = openHuggingFaceWeights(place);
    expect(store.names).toEqual(['model.embed_tokens.weight']);
    store.close();
  });

  it.each<[string, () => string, string, RegExp]>([
    [
      'a shard that is missing',
      () => sharded(shards, { extra: 'three.safetensors' }),
      'cut-short',
      /lacks 1 of its 3 shards: three\.safetensors/,
    ],
    [
      'a shard outside the folder',
      () => sharded(shards, { extra: '../two.safetensors' }),
      'damaged',
      /outside its folder/,
    ],
    [
      'a tensor in two shards',
      () => sharded({ ...shards, 'three.safetensors': [norm] }),
      'damaged',
      /model\.norm\.weight lies in three\.safetensors and in two\.safetensors/,
    ],
    [
      'a tensor in another shard than the index says',
      () => sharded(shards, { 'model.norm.weight': 'one.safetensors' }),
      'damaged',
      /is in one\.safetensors, but it is in two\.safetensors/,
    ],
    [
      'a tensor in no shard',
      () => sharded(shards, { extra: 'one.safetensors' }),
      'damaged',
      /extra is in one\.safetensors, but it is in no shard/,
    ],
    [
      'a shard cut short',
      () => {
        const place = sharded(shards);
        const path = join(place, 'two.safetensors');
        writeFileSync(path, readFileSync(path).subarray(0, -3));
        return place;
      },
      'cut-short',
      /two\.safetensors ends after/,
    ],
    [
      'a shard with more bytes than its table says',
      () => {
        const place = sharded(shards);
        appendFileSync(join(place, 'two.safetensors'), Buffer.alloc(9));
        return place;
      },
      'damaged',
      /last 9 bytes belong to no tensor/,
    ],
    ['an index of nothing', () => sharded({}), 'damaged', /names no tensors/],
  ])('refuses %s', (_, make, code, message) => {
    const place = make();
    const action = () => openHuggingFaceWeights(place);
    expect(codeOf(action)).toBe(`model.${code}`);
    expect(action).toThrow(message);
  });

  it('tells a folder that is no model', () => {
    expect(codeOf(() => openHuggingFaceWeights(folder))).toBe('model.not-a-model');
  });
});
