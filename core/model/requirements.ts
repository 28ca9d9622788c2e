/** @file How much memory a model of a given shape needs to be trained, by a formula. Nothing here is measured. */

import type { ModelConfiguration } from './configuration.ts';
import { linears } from './lora.ts';

/** Tokens of the one text that a step is assumed to hold, and the rank of its adapter on all linears. */
const USUAL = { length: 512, rank: 8 };
/** Set aside for the program itself. */
const PROGRAM = 0.25e9;
/** Left to the operating system and other programs when a tier is chosen. */
const OTHERS = 2e9;
/** Sizes that computers are sold with, in GB. */
const TIERS = [4, 8, 16, 32, 64, 128, 256] as const;

/**
 * Bytes to train an adapter on one text at a time, by default of rank 8 and of 512 tokens. The sum of
 *   weights      4 bytes each; at int4, linears 0.75: four bits, and a scale and a minimum of 4 bytes for 32 weights
 *   adapter      16 bytes a number: value, gradient and AdamW's two moments
 *   activations  4 bytes for each number that a layer keeps for its gradients: per token 4 · hidden (norms and sums),
 *                3 · q + 3 · k + v (before and after the rotation, and mixed), 3 · intermediate, 2 · heads · length
 *   scores       4 bytes for each of length · vocabulary
 *   the program  0.25 GB
 */
export function trainingMemory(
  configuration: ModelConfiguration,
  precision: 'f32' | 'int4',
  { length, rank }: { readonly length: number; readonly rank: number } = USUAL,
): number {
  const { hiddenSize, intermediateSize, layers, attentionHeads, keyValueHeads, headSize, vocabularySize } =
    configuration;
  const all = linears(configuration);
  const inLinears = all.reduce((sum, { shape: [out, into] }) => sum + out * into, 0);
  const embeddings = vocabularySize * hiddenSize * (configuration.tiedEmbedding ? 1 : 2);
  const adapter = all.reduce((sum, { shape: [out, into] }) => sum + rank * (out + into), 0);
  const attention = headSize * (3 * attentionHeads + 4 * keyValueHeads) + 2 * attentionHeads * length;
  const kept = layers * length * (4 * hiddenSize + attention + 3 * intermediateSize);
  const weights = 4 * embeddings + (precision === 'int4' ? 0.75 : 4) * inLinears;
  return weights + 16 * adapter + 4 * kept + 4 * length * vocabularySize + PROGRAM;
}

/** Memory in GB of the smallest usual computer that holds `bytes` beside its other programs. */
export function memoryTier(bytes: number): number {
  return TIERS.find((tier) => tier * 1e9 >= bytes + OTHERS) ?? Math.ceil((bytes + OTHERS) / 1e9);
}
