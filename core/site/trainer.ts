/** @file What the site agent needs of training. The engine stands behind it, or a fake in tests. */

import type { Plan } from '../federation/plan.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { Example } from '../training/examples.ts';

export interface RoundRequest {
  readonly plan: Plan;
  readonly run: string;
  readonly round: number;
  /** Constant within the round. */
  readonly learningRate: number;
  /** For order and sampling: plan seed, round and site, so that a repeated round gives the same bytes. */
  readonly seedParts: readonly (string | number)[];
  /** The global adapter; it is not changed. */
  readonly base: NamedTensors;
  readonly examples: readonly Example[];
  /** Ends the training early, with the signal's reason thrown. */
  readonly signal: AbortSignal;
  readonly onStep: (step: { readonly step: number; readonly steps: number; readonly loss: number }) => void;
}

export interface RoundResult {
  /** The site's adapter: names and shapes of the base. */
  readonly adapter: NamedTensors;
  /** Mean over the steps of the loss per supervised token. */
  readonly loss: number;
  /** Examples that can be trained on, the site's weight in the average. */
  readonly examples: number;
  readonly supervisedTokens: number;
}

export interface RoundTrainer {
  /** Trains one round; at most one at a time. */
  train(request: RoundRequest): Promise<RoundResult>;
  close(): Promise<void>;
}
