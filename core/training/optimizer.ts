/** @file AdamW and gradient clipping over flat arrays, in place. */

/** One flat array per tensor; parameters, gradients and moments share order and lengths. */
export type FlatTensors = readonly Float32Array[];

export interface Optimizer<State> {
  /** The state before the first step, for parameters of these lengths. */
  init(parameters: FlatTensors): State;
  /** Takes one step: changes `parameters` and `state` in place, and nothing else. */
  update(step: { parameters: FlatTensors; gradients: FlatTensors; state: State; learningRate: number }): void;
}

export interface AdamWState {
  /** Steps taken. */
  step: number;
  /** Exponential mean of the gradients. */
  readonly first: FlatTensors;
  /** Exponential mean of the squared gradients. */
  readonly second: FlatTensors;
}

/** Decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2), as PyTorch's AdamW computes it. */
export function adamW({
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon = 1e-8,
  weightDecay = 0,
}: {
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  weightDecay?: number;
} = {}): Optimizer<AdamWState> {
  return {
    init: (parameters) => ({
      step: 0,
      first: parameters.map(({ length }) => new Float32Array(length)),
      second: parameters.map(({ length }) => new Float32Array(length)),
    }),
    update({ parameters, gradients, state, learningRate }) {
      state.step++;
      const keep = 1 - learningRate * weightDecay;
      const stepSize = learningRate / (1 - beta1 ** state.step);
      const rootCorrection = Math.sqrt(1 - beta2 ** state.step);
      for (const [tensor, parameter] of parameters.entries()) {
        const gradient = gradients[tensor];
        const first = state.first[tensor];
        const second = state.second[tensor];
        for (let i = 0; i < parameter.length; i++) {
          const g = gradient[i];
          const m = beta1 * first[i] + (1 - beta1) * g;
          const v = beta2 * second[i] + (1 - beta2) * g * g;
          first[i] = m;
          second[i] = v;
          // p ← p·(1 − lr·wd) − lr·(m/(1−β1^t)) / (√v/√(1−β2^t) + ε)
          parameter[i] = parameter[i] * keep - (stepSize * m) / (Math.sqrt(v) / rootCorrection + epsilon);
        }
      }
    },
  };
}

/** ‖g‖₂ over all tensors, summed in double precision. */
function globalNorm(gradients: FlatTensors): number {
  let sum = 0;
  for (const gradient of gradients) {
    for (let i = 0; i < gradient.length; i++) sum += gradient[i] * gradient[i];
  }
  return Math.sqrt(sum);
}

/**
 * Scales all gradients in place by min(1, maximum / (‖g‖₂ + 1e-6)), as PyTorch's `clip_grad_norm_` does.
 *
 * @returns ‖g‖₂ before clipping
 */
export function clipGlobalNorm(gradients: FlatTensors, maximum: number): number {
  const norm = globalNorm(gradients);
  const factor = maximum / (norm + 1e-6);
  if (factor < 1) {
    for (const gradient of gradients) {
      for (let i = 0; i < gradient.length; i++) gradient[i] *= factor;
    }
  }
  return norm;
}
