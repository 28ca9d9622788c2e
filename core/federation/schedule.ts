/** @file What changes over the rounds of a run: the learning rate, and which matrices are trained. */

import type { Trainable } from '../model/lora.ts';
import type { ADAPTER_VARIANTS, Plan } from './plan-schema.ts';

type Variant = (typeof ADAPTER_VARIANTS)[number];

/**
 * Cosine from `learningRate` in round 0 towards `minLearningRate`, constant within a round:
 * lr_t = lr_min + ½·(lr_0 − lr_min)·(1 + cos(π·t/T)), t = 0 … T − 1.
 */
export function learningRateOfRound(
  training: { learningRate: number; minLearningRate: number },
  round: number,
  rounds: number,
): number {
  const { learningRate, minLearningRate } = training;
  const share = 0.5 * (1 + Math.cos((Math.PI * round) / rounds));
  return minLearningRate + (learningRate - minLearningRate) * share;
}

/**
 * Which of a module's matrices sites train in a round, from 0. The mean of products is the product of means only
 * where one factor is the same everywhere:
 * - `ffa` (FFA-LoRA; Sun et al., 2024, arXiv 2403.12313): B always; A stays as it was drawn;
 * - `rolora` (Chen et al., 2025, arXiv 2409.02346): in turns. B first, since A has no gradient while B is zero.
 */
export function trainableMatrices(variant: Variant, round: number): Trainable {
  if (variant === 'lora' || variant === 'fedsa') return 'both';
  return variant === 'ffa' || round % 2 === 0 ? 'B' : 'A';
}

/**
 * Which of them travel: those that are trained, but for `fedsa` (FedSA-LoRA; Guo et al., 2025, arXiv 2410.01463), whose
 * A holds what sites have in common and whose B stays at each site as its own.
 */
export function sharedMatrices(variant: Variant, round: number): Trainable {
  return variant === 'fedsa' ? 'A' : trainableMatrices(variant, round);
}

/** Whether every site ends with an adapter of its own, so that the hub has none that anybody could use. */
export function isPersonal({ adapter, federation }: Pick<Plan, 'adapter' | 'federation'>): boolean {
  return adapter.variant === 'fedsa' || federation.strategy.name === 'local';
}
