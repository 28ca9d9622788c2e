import { describe, expect, it } from 'vitest';
import { CATALOGUE } from '../../core/model/catalogue.ts';
import type { ModelConfiguration } from '../../core/model/configuration.ts';
import { linears } from '../../core/model/lora.ts';
import { memoryTier, trainingMemory } from '../../core/model/requirements.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';

/** Numbers of all tensors of a model of this shape. */
function countParameters(configuration: ModelConfiguration): number {
  const { hiddenSize, layers, headSize, vocabularySize, tiedEmbedding } = configuration;
  const biased = configuration.attentionBias ? linears(configuration).filter(({ module }) => /[qkv]_proj$/.test(module)) : []; // prettier-ignore
  const matrices = linears(configuration).reduce((sum, { shape }) => sum + shape[0] * shape[1], 0);
  const biases = biased.reduce((sum, { shape }) => sum + shape[0], 0);
  const norms =
    layers * (2 * hiddenSize + (configuration.headNorms === true ? 2 * headSize : 0)) + hiddenSize;
  return matrices + biases + norms + vocabularySize * hiddenSize * (tiedEmbedding ? 1 : 2);
}

describe('the catalogue', () => {
  it.each(CATALOGUE.map((entry) => [entry.id, entry] as const))('describes %s consistently', (_, entry) => {
    const { configuration, parameters, bytes, sources } = entry;
    expect(countParameters(configuration)).toBe(parameters);
    expect(configuration.attentionHeads % configuration.keyValueHeads).toBe(0);
    // Between four and nine bits a weight.
    expect(bytes / parameters).toBeGreaterThan(0.5);
    expect(bytes / parameters).toBeLessThan(1.13);
    expect(sources.length).toBeGreaterThan(0);
  });

  it('names every model once', () => {
    expect(new Set(CATALOGUE.map(({ id }) => id)).size).toBe(CATALOGUE.length);
    expect(new Set(CATALOGUE.map(({ file }) => file)).size).toBe(CATALOGUE.length);
  });

  it('computes the memory that training takes by its formula', () => {
    const [embedding, inLinears, adapter] = [260 * 64, 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 160), 8 * 2 * (2 * 128 + 2 * 96 + 3 * 224)]; // prettier-ignore
    const kept = 2 * 512 * (4 * 64 + 16 * (3 * 4 + 4 * 2) + 2 * 4 * 512 + 3 * 160);
    const rest = 16 * adapter + 4 * kept + 4 * 512 * 260 + 0.25e9;
    expect(trainingMemory(TINY_CONFIGURATION, 'f32')).toBe(4 * (embedding + inLinears) + rest);
    expect(trainingMemory(TINY_CONFIGURATION, 'int4')).toBe(4 * embedding + 0.75 * inLinears + rest);
    expect([0.3e9, 2e9, 2.1e9, 13e9, 500e9].map(memoryTier)).toEqual([4, 4, 8, 16, 502]);
  });
});
