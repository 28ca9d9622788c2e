/** @file What a strategy is on the hub's side: how updates are weighed and what the sums do to the model. */

import type { z } from 'zod';

/** How one named part of the updates is summed over the cohort. */
export interface Part {
  /** Weight of a site's update in the sum: its number of examples, or one. */
  readonly weighting: 'examples' | 'uniform';
  /** Sum the values as they came, or their differences to the weights the round started from. */
  readonly of: 'values' | 'differences';
}

/** Sum over the cohort of one tensor of one part. */
export interface PartSum {
  /** Σ weight_k · x_k, or Σ weight_k · (x_k − w). */
  readonly sum: Float64Array;
  /** Σ weight_k. */
  readonly totalWeight: number;
}

/** One tensor of the hub's state, changed in place, and what the round says about it. */
export interface TensorRound {
  readonly weights: Float64Array;
  /** The strategy's own state by name, e.g. `m` and `v`, of the same length as the weights. */
  readonly moments: Readonly<Record<string, Float64Array>>;
  readonly parts: Readonly<Record<string, PartSum>>;
  /** Whether this is the first round of the run. */
  readonly first: boolean;
  /** Sites of the federation that take part in the run, in this round's cohort or not. */
  readonly members: number;
}

export interface Strategy {
  /** Parts of an update; every strategy that averages has `weights`. */
  readonly parts: Readonly<Record<string, Part>>;
  /** Initial value of every element of each moment. */
  readonly moments: Readonly<Record<string, number>>;
  update(tensor: TensorRound): void;
}

/** A row of the table of strategies. */
export interface StrategyDefinition<S extends z.ZodObject> {
  /** Shape of `federation.strategy` in a plan: the name and the hyper-parameters with their defaults. */
  readonly schema: S;
  /** What the site does besides plain local training; `plain` is nothing, `alone` starts from its own adapter. */
  readonly client: 'plain' | 'proximal' | 'control-variates' | 'alone';
  /** The strategy for the hyper-parameters of a plan. Throws a ZodError if they do not fit. */
  readonly create: (choice: unknown) => Strategy;
}

/** Ties the schema of the hyper-parameters to the function that uses them. */
export function defineStrategy<S extends z.ZodObject>(definition: {
  schema: S;
  client: StrategyDefinition<S>['client'];
  create: (parameters: z.infer<S>) => Strategy;
}): StrategyDefinition<S> {
  return { ...definition, create: (choice) => definition.create(definition.schema.parse(choice)) };
}

/** w ← Σ n_k·w_k / Σ n_k: plain averaging, which several strategies share. */
export const averageByExamples: Strategy = {
  parts: { weights: { weighting: 'examples', of: 'values' } },
  moments: {},
  update({ weights, parts }) {
    const { sum, totalWeight } = parts.weights;
    for (let i = 0; i < weights.length; i++) weights[i] = sum[i] / totalWeight;
  },
};

/** m ← Δ in the first round of the run, then β1·m + (1 − β1)·Δ; Δ is the part's weighted mean difference. */
export function updateMomentum(momentum: Float64Array, part: PartSum, beta1: number): void {
  for (let i = 0; i < momentum.length; i++) {
    momentum[i] = beta1 * momentum[i] + (1 - beta1) * (part.sum[i] / part.totalWeight);
  }
}

/** m ← Δ. */
export function setMomentum(momentum: Float64Array, part: PartSum): void {
  for (let i = 0; i < momentum.length; i++) momentum[i] = part.sum[i] / part.totalWeight;
}

/** What the second moment of FedYogi and FedAdam follows, element by element: m² or Δ². */
export function squares(
  kind: 'momentum' | 'difference',
  { momentum, part }: { momentum: Float64Array; part: PartSum },
): (index: number) => number {
  if (kind === 'momentum') return (i) => momentum[i] ** 2;
  return (i) => (part.sum[i] / part.totalWeight) ** 2;
}

/** w ← w + η·m / (√v + τ). */
export function adaptiveStep(
  weights: Float64Array,
  moments: { m: Float64Array; v: Float64Array },
  { eta, tau }: { eta: number; tau: number },
): void {
  const { m, v } = moments;
  for (let i = 0; i < weights.length; i++) weights[i] += (eta * m[i]) / (Math.sqrt(v[i]) + tau);
}
