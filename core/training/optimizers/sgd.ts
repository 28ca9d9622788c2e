/** @file Stochastic gradient descent with momentum over flat arrays, in place. */

import { zerosLike, type Optimizer } from './optimizer.ts';

export interface SgdOptions {
  /** Share of the velocity that is kept; 0 is plain gradient descent. */
  readonly momentum?: number;
  /** Looks ahead along the velocity (Sutskever et al., 2013). */
  readonly nesterov?: boolean;
  /** Coupled to the gradient, as L2 regularisation is. */
  readonly weightDecay?: number;
}

/** As PyTorch's SGD without dampening: `velocity` is the running sum of gradients, not their mean. */
export function sgd({
  momentum = 0,
  nesterov = false,
  weightDecay = 0,
}: SgdOptions = {}): Optimizer<'velocity'> {
  return {
    init: (parameters) => ({
      step: 0,
      moments: { velocity: momentum === 0 ? [] : zerosLike(parameters) },
    }),
    update({ parameters, gradients, gradientScale = 1, state, learningRate }) {
      state.step++;
      for (const [tensor, parameter] of parameters.entries()) {
        const gradient = gradients[tensor];
        if (momentum === 0) {
          for (let i = 0; i < parameter.length; i++) {
            parameter[i] -= learningRate * (gradient[i] * gradientScale + weightDecay * parameter[i]);
          }
          continue;
        }
        const velocity = state.moments.velocity[tensor];
        for (let i = 0; i < parameter.length; i++) {
          // g ← g + wd·p;  v ← μ·v + g;  p ← p − lr·v, or with Nesterov p ← p − lr·(g + μ·v)
          const g = gradient[i] * gradientScale + weightDecay * parameter[i];
          const v = momentum * velocity[i] + g;
          velocity[i] = v;
          parameter[i] -= learningRate * (nesterov ? g + momentum * v : v);
        }
      }
    },
  };
}
