/** @file The norm of all gradients together, and the factor that keeps it below a maximum. */

import type { FlatTensors } from './optimizers/optimizer.ts';

/** ‖g‖₂ over all tensors, summed in double precision. */
export function globalNorm(gradients: FlatTensors): number {
  let sum = 0;
  for (const gradient of gradients) {
    for (let i = 0; i < gradient.length; i++) sum += gradient[i] * gradient[i];
  }
  return Math.sqrt(sum);
}

/**
 * The factor min(1, maximum / (norm + 1e-6)) of PyTorch's `clip_grad_norm_`. The optimizer multiplies by it as it
 * reads the gradients, so that clipping writes nothing.
 */
export function clippingFactor(norm: number, maximum: number): number {
  return Math.min(1, maximum / (norm + 1e-6));
}
