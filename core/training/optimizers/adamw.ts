/** @file AdamW over flat arrays, in place. */

import { zerosLike, type Optimizer } from './optimizer.ts';

export interface AdamWOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
}

/**
 * Decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2), as PyTorch's AdamW computes it. `first` and
 * `second` are the exponential means of the gradients and of their squares.
 */
export function adamW({
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon = 1e-8,
  weightDecay = 0,
}: AdamWOptions = {}): Optimizer<'first' | 'second'> {
  return {
    init: (parameters) => ({
      step: 0,
      moments: { first: zerosLike(parameters), second: zerosLike(parameters) },
    }),
    update({ parameters, gradients, gradientScale = 1, state, learningRate }) {
      state.step++;
      const keep = 1 - learningRate * weightDecay;
      // p ← p·(1 − lr·wd) − lr·(m/(1−β1^t)) / (√v/√(1−β2^t) + ε), with one division for each number instead of two
      const rootCorrection = Math.sqrt(1 - beta2 ** state.step);
      const stepSize = (learningRate * rootCorrection) / (1 - beta1 ** state.step);
      const stability = epsilon * rootCorrection;
      for (const [tensor, parameter] of parameters.entries()) {
        const gradient = gradients[tensor];
        const first = state.moments.first[tensor];
        const second = state.moments.second[tensor];
        for (let i = 0; i < parameter.length; i++) {
          const g = gradient[i] * gradientScale;
          const m = beta1 * first[i] + (1 - beta1) * g;
          const v = beta2 * second[i] + (1 - beta2) * g * g;
          first[i] = m;
          second[i] = v;
          parameter[i] = parameter[i] * keep - (stepSize * m) / (Math.sqrt(v) + stability);
        }
      }
    },
  };
}
