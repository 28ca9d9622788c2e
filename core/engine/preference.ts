/** @file The loss and the gradients of pairs of answers, and the log-probabilities of whole answers. */

import { Tensor } from 'onnxruntime-node';

import type { EngineBatch } from './batch.ts';
import { lossFeeds } from './feeds.ts';
import { gradientOutputs } from './gradients.ts';
import { preferenceGraph, type PreferenceLoss } from './graphs/preference.ts';
import { sizesOf } from './memory.ts';
import type { Parameters } from './parameters.ts';
import { float32, type EngineAdapter, type Sessions } from './sessions.ts';

/** The pairs of a batch: its examples 2·p and 2·p + 1 are the chosen and the rejected answer of pair p. */
export interface PairedBatch {
  readonly batch: EngineBatch;
  /** Per pair log π(chosen) − log π(rejected) under the reference. */
  readonly reference: readonly number[];
  /** What each pair's loss counts. */
  readonly share: number;
}

/**
 * The loss of pairs, its gradients in those of the adapter's tensors that `gradients` has room for, and log π of every
 * example.
 */
export async function preferenceGradients(
  sessions: Sessions,
  { batch, reference, share }: PairedBatch,
  { objective, ...adapter }: EngineAdapter & { gradients: Parameters; objective: PreferenceLoss },
): Promise<{ loss: number; logProbabilities: Float64Array }> {
  const { beta, labelSmoothing, loss } = objective;
  const names = [...adapter.gradients.tensors.keys()];
  const kind = `preference ${loss} ${beta} ${labelSmoothing} of ${names.join(' ')}`;
  const pairs = reference.length;
  const program = await sessions.trainingProgram({
    kind,
    adapter: adapter.configuration,
    build: (plan) => preferenceGraph(plan, objective, names),
    sizes: { ...sizesOf(batch), pairs },
    trained: adapter.gradients.flat.length,
  });
  const feeds = {
    ...lossFeeds(batch, 0, sessions.configuration.slidingWindow),
    ...sessions.feeds(program, batch.length, adapter),
    signs: new Tensor('float32', signs(batch, pairs), [pairs, batch.targets.places.length]),
    reference: new Tensor('float32', Float32Array.from(reference), [pairs, 1]),
    weights: new Tensor('float32', new Float32Array(pairs).fill(share), [pairs, 1]),
  };
  const outputs = { loss: null, nll: null, ...gradientOutputs(adapter.gradients) };
  const results = await program.session.run(feeds, outputs);
  return {
    loss: float32(results.loss)[0],
    logProbabilities: logProbabilities(batch, float32(results.nll)),
  };
}

/** log π of each example: minus the sum of its tokens' losses. */
export function logProbabilities(
  { targets, examples }: EngineBatch,
  tokenLosses: Float32Array,
): Float64Array {
  const sums = new Float64Array(examples);
  targets.examples.forEach((example, index) => (sums[example] -= tokenLosses[index]));
  return sums;
}

/** Row-major [pairs, targets]: −1 at the chosen answer's targets, 1 at the rejected one's. */
function signs({ targets: { examples } }: EngineBatch, pairs: number): Float32Array {
  const data = new Float32Array(pairs * examples.length);
  examples.forEach((example, index) => {
    data[Math.floor(example / 2) * examples.length + index] = example % 2 === 0 ? -1 : 1;
  });
  return data;
}
