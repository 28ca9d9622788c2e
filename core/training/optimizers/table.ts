/** @file The optimizers by the names that requests and commands call them. */

import { adamW } from './adamw.ts';
import type { Optimizer } from './optimizer.ts';
import { sgd } from './sgd.ts';

export const OPTIMIZER_NAMES = ['adamw', 'sgd'] as const;
export type OptimizerName = (typeof OPTIMIZER_NAMES)[number];

export interface OptimizerOptions {
  readonly name: OptimizerName;
  /** Of `sgd`; 0 by default. */
  readonly momentum?: number;
  /** Of `sgd` with momentum; not by default. */
  readonly nesterov?: boolean;
}

const makers: Readonly<
  Record<OptimizerName, (options: OptimizerOptions & { readonly weightDecay: number }) => Optimizer>
> = {
  adamw: ({ weightDecay }) => adamW({ weightDecay }),
  sgd,
};

/** An optimizer, fresh: its state is made by its `init`. */
export function makeOptimizer(options: OptimizerOptions & { readonly weightDecay: number }): Optimizer {
  return makers[options.name](options);
}
