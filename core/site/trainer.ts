/** @file What the site agent needs of training. The engine stands behind it, or a fake in tests. */

import type { Plan } from '../federation/plan.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';
import type { Probe } from './probe.ts';

export interface RoundRequest {
  readonly plan: Plan;
  readonly run: string;
  readonly round: number;
  /** Constant within the round. */
  readonly learningRate: number;
  /** For order and sampling: plan seed, round and site, so that a repeated round gives the same bytes. */
  readonly seedParts: readonly (string | number)[];
  /** The global adapter; it is not changed. Its numbers and those of `controls` last until the training ends. */
  readonly base: NamedTensors;
  /** For pairs: the adapter that is kept frozen as their reference, or null where that is the model without one. */
  readonly reference: NamedTensors | null;
  /** SCAFFOLD's control variates, the hub's c and this site's c_k; null where the strategy has none. */
  readonly controls: { readonly hub: NamedTensors; readonly site: NamedTensors } | null;
  /** Conversations or pairs, as the plan's objective needs. */
  readonly examples: readonly (Example | PreferenceExample)[];
  /** Ends the training early, with the signal's reason thrown. */
  readonly signal: AbortSignal;
  /** Where a training that `finish` ends after its step leaves how far it was, and goes on from when asked again. */
  readonly pausing?: { readonly folder: string; readonly finish: AbortSignal };
  readonly onStep: (step: { readonly step: number; readonly steps: number; readonly loss: number }) => void;
}

export interface RoundResult {
  /** The site's adapter: names and shapes of the base. */
  readonly adapter: NamedTensors;
  /** With the request's control variates: c_k⁺ and Δc_k = c_k⁺ − c_k, as they were computed. */
  readonly controls?: { readonly site: NamedTensors; readonly change: NamedTensors };
  /** Mean over the steps of the loss per supervised token. */
  readonly loss: number;
  /** Examples that can be trained on, the site's weight in the average. */
  readonly examples: number;
  readonly supervisedTokens: number;
  /** For pairs: means over the steps of the share whose chosen answer is ahead, and of by how much. */
  readonly preference?: { readonly accuracy: number; readonly margin: number };
}

/** What an adapter is measured on. */
export interface HeldOutRequest {
  readonly plan: Plan;
  readonly adapter: NamedTensors;
  /** For pairs: as in `RoundRequest`. */
  readonly reference: NamedTensors | null;
  readonly examples: readonly (Example | PreferenceExample)[];
  readonly signal: AbortSignal;
}

export interface HeldOutResult {
  /** Per supervised token; for pairs the mean loss of a pair. */
  readonly loss: number;
  /** For pairs: share whose chosen answer is ahead of the other, and by how much in the mean. */
  readonly accuracy?: number;
  readonly margin?: number;
  /** Examples that could be measured. */
  readonly examples: number;
}

/** A plan of which a few steps are taken to see how it would go. */
export interface RehearsalRequest {
  readonly plan: Plan;
  readonly examples: readonly (Example | PreferenceExample)[];
  readonly signal: AbortSignal;
  /** Told the number of each step, from 1. */
  readonly onStep: (step: number) => void;
}

export interface RehearsalResult extends Probe {
  /** Bytes that a training may take here. */
  readonly memoryLimit: number;
}

export interface RoundTrainer {
  /** Trains one round; at most one at a time. */
  train(request: RoundRequest): Promise<RoundResult>;
  /** Measures an adapter without training; in turn with trainings. */
  evaluate(request: HeldOutRequest): Promise<HeldOutResult>;
  /** Measures a plan's steps and keeps nothing of them; a trainer that pretends has none to measure. */
  rehearse?(request: RehearsalRequest): Promise<RehearsalResult>;
  close(): Promise<void>;
}
