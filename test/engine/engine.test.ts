import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Precision } from '../../core/engine/precisions.ts';
import { paddedBatch, type EngineBatch } from '../../core/engine/batch.ts';
import { Engine } from '../../core/engine/engine.ts';
import { emptyParameters } from '../../core/engine/parameters.ts';
import { likeliest } from '../../core/engine/sampling.ts';
import type { ModelConfiguration } from '../../core/model/configuration.ts';
import { openHuggingFaceWeights } from '../../core/model/huggingface-weights.ts';
import { initialAdapter, linears, loraShapes } from '../../core/model/lora.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import type { WeightStore } from '../../core/model/weights.ts';
import { codeOf } from '../helpers/errors.ts';
import { temporaryFolder } from '../model/fixtures.ts';
import { collectGarbage, residentMemory } from './memory.ts';

const lora = { rank: 4, alpha: 8, targets: 'all-linear' as const };
const adapter = { configuration: lora, parameters: initialAdapter(TINY_CONFIGURATION, lora, 1) };

function openEngine(precision: Precision, cache: string, weights: WeightStore = openTiny().weights): Engine {
  return new Engine(weights, { precision, device: 'cpu', threads: 1, cache });
}

/** Rows of equal length; every token but the first is supervised. */
function batchOf(...rows: number[][]): EngineBatch {
  const texts = rows.map((ids) => ({ ids, labels: ids }));
  return paddedBatch(texts, 0);
}
const batch = batchOf([72, 101, 108, 108, 111], [87, 111, 114, 108, 100]);

/** A plain model of some 40 MB, so that one that is not freed shows in the memory of the process. */
function largeStore(): { store: WeightStore; bytes: number } {
  const configuration: ModelConfiguration = {
    ...TINY_CONFIGURATION,
    hiddenSize: 512,
    intermediateSize: 1536,
    attentionHeads: 8,
    keyValueHeads: 8,
    headSize: 64,
    vocabularySize: 8192,
  };
  const shapes = new Map<string, readonly number[]>([
    ['model.embed_tokens.weight', [8192, 512]],
    ['model.norm.weight', [512]],
    ...linears(configuration).map(({ module, shape }) => [`${module}.weight`, shape] as const),
  ]);
  for (let layer = 0; layer < configuration.layers; layer++) {
    shapes.set(`model.layers.${layer}.input_layernorm.weight`, [512]);
    shapes.set(`model.layers.${layer}.post_attention_layernorm.weight`, [512]);
  }
  const size = (name: string) => (shapes.get(name) ?? []).reduce((count, axis) => count * axis, 1);
  const store: WeightStore = {
    configuration,
    names: [...shapes.keys()],
    describe: (name) => ({ shape: shapes.get(name) ?? [], format: 'F32' }),
    readFloat32: (name) => new Float32Array(size(name)).fill(0.01),
    readPacked: () => null,
    close: () => undefined,
  };
  return { store, bytes: store.names.reduce((total, name) => total + 4 * size(name), 0) };
}

describe('release', () => {
  it('closes all sessions, and what was returned stays valid', async () => {
    const engine = openEngine('f32', temporaryFolder());
    const gradients = emptyParameters(loraShapes(TINY_CONFIGURATION, lora));
    const { tokenLosses } = await engine.loss(batch, null);
    await engine.loss(batch, adapter);
    await engine.lossAndGradients(batch, { ...adapter, gradients });
    const scores = await engine.logits(batch, [4], adapter);
    expect(engine.sessions).toBe(4);
    const before = [...tokenLosses, ...scores];
    await engine.release();
    await collectGarbage();
    expect(engine.sessions).toBe(0);
    expect([...tokenLosses, ...scores]).toEqual(before);
  });

  it('gives the memory back, however often a model is opened', async () => {
    const { store, bytes } = largeStore();
    const folder = temporaryFolder();
    const memoryAfterCycle = async () => {
      const engine = openEngine('f32', folder, store);
      await engine.loss(batch, null);
      await engine.release();
      return residentMemory();
    };
    await memoryAfterCycle();
    const before = await memoryAfterCycle();
    let after = before;
    for (let cycle = 0; cycle < 6; cycle++) after = await memoryAfterCycle();
    // Were one copy of the weights kept each time, six would be there; one may still be on its way back.
    expect(after - before).toBeLessThan(1.5 * bytes);
  });

  it('leaves nothing that holds the engine', async () => {
    const engineOnce = async () => {
      const engine = openEngine('f32', temporaryFolder());
      await engine.loss(batch, adapter);
      await engine.release();
      return new WeakRef(engine);
    };
    const reference = await engineOnce();
    await collectGarbage();
    expect(reference.deref()).toBeUndefined();
  });
});

describe('four-bit weights', () => {
  const values = (folder: string) =>
    join(folder, readdirSync(folder).find((name) => name.startsWith('int4-')) ?? 'nothing prepared');
  async function lossIn(folder: string): Promise<number> {
    const engine = openEngine('int4', folder);
    const { loss } = await engine.loss(batch, adapter);
    await engine.release();
    return loss;
  }

  it('are written into the cache folder once and used again', async () => {
    const folder = temporaryFolder();
    const loss = await lossIn(folder);
    // A file that is written anew is another file, since it is renamed into place.
    const { ino, size } = statSync(values(folder));
    expect(size).toBeGreaterThan(0);
    expect(await lossIn(folder)).toBe(loss);
    expect(statSync(values(folder)).ino).toBe(ino);
  });

  it('are written again where the file was cut short', async () => {
    const folder = temporaryFolder();
    const loss = await lossIn(folder);
    const whole = readFileSync(values(folder));
    truncateSync(values(folder), whole.length - 1);
    expect(await lossIn(folder)).toBe(loss);
    expect(readFileSync(values(folder)).equals(whole)).toBe(true);
  });

  it('can be tried again, and the engine released, after the cache folder could not be written', async () => {
    const folder = join(temporaryFolder(), 'cache');
    writeFileSync(folder, 'in the way');
    const engine = openEngine('int4', folder);
    await expect(engine.loss(batch, null)).rejects.toThrow();
    expect(engine.sessions).toBe(0);
    rmSync(folder);
    expect((await engine.loss(batch, null)).loss).toBeGreaterThan(0);
    await engine.release();
  });

  it('are refused for a model that has none', () => {
    const weights = openHuggingFaceWeights(join(import.meta.dirname, '../golden/llama-tiny'));
    expect(codeOf(() => openEngine('int4', temporaryFolder(), weights))).toBe('engine.precision-unavailable');
    weights.close();
  });
});

describe('scores', () => {
  it('of a row do not depend on padding or on the other rows', async () => {
    const engine = openEngine('f32', temporaryFolder());
    const alone = await engine.logits(batchOf([72, 101, 108]), [2], adapter);
    const text = [72, 101, 108];
    const padded = paddedBatch([{ ids: text }, { ids: [1, 2, 3, 4, 5] }, { ids: text, start: 2 }], 9);
    const together = await engine.logits(padded, [2, 14], adapter);
    await engine.release();
    expect(together).toHaveLength(2 * alone.length);
    together.forEach((score, at) => expect(score).toBeCloseTo(alone[at % alone.length], 4));
  });

  it('of the cache of keys and values are those of reading the whole text', async () => {
    const engine = openEngine('f32', temporaryFolder());
    const text = [72, 101, 108, 108, 111];
    let seen = new Float32Array();
    const choose = (logits: Float32Array) => {
      seen = logits.slice();
      return likeliest(logits);
    };
    for await (const token of engine.generate({ prompt: [...text], adapter, choose, exact: true })) {
      const whole = await engine.logits(batchOf(text), [text.length - 1], adapter);
      whole.forEach((score, at) => expect(seen[at]).toBeCloseTo(score, 4));
      text.push(token);
      if (text.length === 12) break;
    }
    expect(text).toHaveLength(12);
    await engine.release();
  });

  it('of a batch without a supervised token give no loss', async () => {
    const engine = openEngine('f32', temporaryFolder());
    await expect(engine.loss(paddedBatch([{ ids: [72, 101] }], 0), null)).rejects.toThrow(/no token/);
    await engine.release();
  });
});
