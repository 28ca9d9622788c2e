/** @file What the training loop needs to know of an objective. */

import type { Parameters } from '../../engine/parameters.ts';
import type { PreferenceMetrics } from '../preference.ts';

/** What a batch costs and holds. */
export interface BatchCounts {
  /** Tokens of all examples, each counted in full, also where two share what they have in common. */
  readonly tokens: number;
  readonly supervisedTokens: number;
  /** Places that are computed: fewer than tokens where much is shared. */
  readonly places: number;
  /** Places that hold nothing. */
  readonly padding: number;
}

/** The share of a batch in the loss and the metrics of its step: the step's values are sums over its batches. */
export interface BatchResult {
  readonly loss: number;
  /** Of pairs. */
  readonly preference?: PreferenceMetrics;
}

/**
 * A loss over the examples of one training. Everything random in it (order, dropout) derives from the request's
 * seed parts and the number of the step alone, so that a training that resumes at a step repeats it bit for bit.
 */
export interface Objective<Batch extends BatchCounts = BatchCounts> {
  readonly steps: number;
  /** Examples left out because nothing supervised was left of them. */
  readonly skipped: number;
  /** The batches of a step, from 0: computed one after the other, their gradients summed. */
  batches(step: number): readonly Batch[];
  /** How many examples, or pairs, a batch holds. */
  size(batch: Batch): number;
  /** Two batches that hold together what this one holds, which is more than one example. */
  halve(batch: Batch): readonly [Batch, Batch];
  /** What a batch weighs in the mean of its step, such as its supervised tokens. */
  weight(batch: Batch): number;
  /**
   * Computes a batch and overwrites `gradients` with the gradients of its loss.
   * @param share one over the weight of the whole step: each unit of weight contributes its loss times this
   */
  compute(batch: Batch, gradients: Parameters, share: number): Promise<BatchResult>;
}
