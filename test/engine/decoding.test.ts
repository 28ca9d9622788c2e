import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { paddedBatch } from '../../core/engine/batch.ts';
import { Engine, type EngineAdapter } from '../../core/engine/engine.ts';
import { likeliest } from '../../core/engine/sampling.ts';
import type { ModelConfiguration } from '../../core/model/configuration.ts';
import { linears, loraShapes, type LoraConfiguration } from '../../core/model/lora.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import type { WeightStore } from '../../core/model/weights.ts';
import { Random } from '../../core/random.ts';
import { temporaryFolder } from '../model/fixtures.ts';

const prompt = [72, 101, 108, 108, 111, 32, 119, 111, 114, 108, 100];

function openEngine(weights: WeightStore, cache = temporaryFolder()): Engine {
  return new Engine(weights, { precision: 'f32', device: 'cpu', threads: 1, cache });
}

function random(parts: string, size: number, scale: number): Float32Array {
  const numbers = new Random('decoding', parts);
  return Float32Array.from({ length: size }, () => (2 * numbers.uniform() - 1) * scale);
}

/** A model of plain float32 weights. */
function plainStore(changes: Partial<ModelConfiguration>): WeightStore {
  const configuration = { ...TINY_CONFIGURATION, ...changes };
  const { hiddenSize, headSize, layers, attentionBias, headNorms } = configuration;
  const shapes = new Map<string, number[]>([
    ['model.embed_tokens.weight', [configuration.vocabularySize, hiddenSize]],
    ['model.norm.weight', [hiddenSize]],
  ]);
  for (const { module, shape } of linears(configuration)) {
    shapes.set(`${module}.weight`, [...shape]);
    if (attentionBias && /[qkv]_proj$/.test(module)) shapes.set(`${module}.bias`, [shape[0]]);
  }
  for (let layer = 0; layer < layers; layer++) {
    const path = `model.layers.${layer}`;
    for (const norm of ['input_layernorm', 'post_attention_layernorm']) {
      shapes.set(`${path}.${norm}.weight`, [hiddenSize]);
    }
    if (headNorms === true) {
      for (const norm of ['q_norm', 'k_norm']) shapes.set(`${path}.self_attn.${norm}.weight`, [headSize]);
    }
  }
  const shape = (name: string) => shapes.get(name) ?? [];
  return {
    configuration,
    names: [...shapes.keys()],
    describe: (name) => ({ shape: shape(name), format: 'F32' }),
    readFloat32: (name) => {
      const values = random(
        name,
        shape(name).reduce((count, axis) => count * axis, 1),
        0.3,
      );
      return name.includes('norm') ? values.map((value) => 1 + value) : values;
    },
    readPacked: () => null,
    close: () => undefined,
  };
}

function adapterOf(configuration: LoraConfiguration, name: string): EngineAdapter {
  const parameters: NamedTensors = new Map(
    loraShapes(TINY_CONFIGURATION, configuration).map(({ name: tensor, shape }) => [
      tensor,
      { shape, data: random(`${name} ${tensor}`, shape[0] * shape[1], 0.3) },
    ]),
  );
  return { configuration, parameters };
}

/** Scores of so many tokens in turn, each beside those of reading the whole text in the other graph. */
async function compare(
  engine: Engine,
  {
    adapter = null,
    exact = true,
    tokens = 6,
  }: { adapter?: EngineAdapter | null; exact?: boolean; tokens?: number },
): Promise<{ error: number; spread: number }> {
  const text = [...prompt];
  const scores: Float32Array[] = [];
  const choose = (logits: Float32Array) => {
    scores.push(logits.slice());
    return likeliest(logits);
  };
  for await (const token of engine.generate({ prompt, adapter, choose, exact })) {
    text.push(token);
    if (scores.length === tokens) break;
  }
  const places = scores.map((_, index) => prompt.length - 1 + index);
  const whole = await engine.logits(paddedBatch([{ ids: text }], 0), places, adapter);
  const found = scores.flatMap((row) => [...row]);
  const error = found.reduce((largest, score, at) => Math.max(largest, Math.abs(score - whole[at])), 0);
  return { error, spread: Math.max(...found) - Math.min(...found) };
}

describe('decoding computes what reading the whole text does', () => {
  it.each([
    ['packed weights', () => openTiny().weights],
    ['float32 weights', () => plainStore({})],
    ['a bias on q, k and v', () => plainStore({ attentionBias: true })],
    ['normalised heads', () => plainStore({ headNorms: true })],
    ['a sliding window', () => plainStore({ slidingWindow: 4 })],
  ])('with %s', async (_, store) => {
    const engine = openEngine(store());
    const { error, spread } = await compare(engine, {});
    expect(spread).toBeGreaterThan(0.1);
    expect(error).toBeLessThan(1e-4 * spread);
    await engine.release();
  });

  it('with activations of eight bits up to their rounding', async () => {
    const engine = openEngine(openTiny().weights);
    const { error, spread } = await compare(engine, { exact: false });
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThan(0.05 * spread);
    await engine.release();
  });

  it('over the step at which the cache grows', async () => {
    const engine = openEngine(openTiny().weights);
    const { error, spread } = await compare(engine, { tokens: 260 });
    expect(error).toBeLessThan(1e-4 * spread);
    await engine.release();
  });
});

describe('adapters', () => {
  const wide: LoraConfiguration = { rank: 4, alpha: 8, targets: 'all-linear' };
  const narrow: LoraConfiguration = { rank: 3, alpha: 6, targets: ['k_proj', 'up_proj', 'down_proj'] };

  it.each([
    ['on all linears', wide],
    ['on some of those that are computed together', narrow],
    ['on one layer', { ...wide, layers: [1] }],
    ['with a scale of its own', { ...wide, alpha: 3, rankStabilized: true }],
  ])('%s change the scores as they do where the whole text is read', async (_, configuration) => {
    const engine = openEngine(openTiny().weights);
    const adapter = adapterOf(configuration, 'one');
    const { error, spread } = await compare(engine, { adapter });
    expect(error).toBeLessThan(1e-4 * spread);
    await engine.release();
  });

  it('of one shape share a session, and each text keeps its own', async () => {
    const engine = openEngine(openTiny().weights);
    const adapters = [adapterOf(wide, 'one'), adapterOf({ ...wide, alpha: 1 }, 'two')];
    const alone = [];
    for (const adapter of adapters) alone.push(await take(engine, adapter, 5));
    expect(engine.sessions).toBe(1);
    const running = adapters.map((adapter) => engine.generate(question(adapter)));
    const together: number[][] = [[], []];
    for (let step = 0; step < 5; step++) {
      for (const [index, generator] of running.entries()) {
        const { value } = await generator.next();
        if (value !== undefined) together[index].push(value);
      }
    }
    expect(together).toEqual(alone);
    expect(engine.sessions).toBe(1);
    await engine.release();
  });
});

describe('a continuation', () => {
  it('ends where the context of the model does', async () => {
    const engine = openEngine(plainStore({ maximumPositions: prompt.length + 3 }));
    // the last token needs no place of its own
    expect(await take(engine, null, 99)).toHaveLength(4);
    await engine.release();
  });

  it('prepares the weights once, and again where the file was cut short', async () => {
    const folder = temporaryFolder();
    const run = async () => {
      const engine = openEngine(openTiny().weights, folder);
      const tokens = await take(engine, null, 4);
      await engine.release();
      return tokens;
    };
    const file = () => join(folder, readdirSync(folder).find((name) => name.endsWith('.bin')) ?? '');
    const tokens = await run();
    const { ino, size } = statSync(file());
    expect(await run()).toEqual(tokens);
    expect(statSync(file()).ino).toBe(ino);
    truncateSync(file(), size - 1);
    expect(await run()).toEqual(tokens);
    expect(statSync(file()).size).toBe(size);
  });
});

function question(adapter: EngineAdapter | null) {
  return { prompt, adapter, choose: likeliest, exact: true };
}

async function take(engine: Engine, adapter: EngineAdapter | null, count: number): Promise<number[]> {
  const tokens: number[] = [];
  for await (const token of engine.generate(question(adapter))) if (tokens.push(token) === count) break;
  return tokens;
}
