/** @file FedProx: ties local training to where it started. */

/**
 * The term (μ/2)·‖p − w‖² of the loss (Li et al., 2020): adds its gradients μ·(p − w) to `gradients` in place. It is
 * part of the loss, so it comes before clipping.
 *
 * @param center w, the parameters that the round started from
 * @returns the term's share of the loss
 */
export function addProximalTerm({
  mu,
  parameters,
  center,
  gradients,
}: {
  mu: number;
  parameters: Float32Array;
  center: Float32Array;
  gradients: Float32Array;
}): number {
  let squares = 0;
  for (let i = 0; i < parameters.length; i++) {
    const distance = parameters[i] - center[i];
    squares += distance * distance;
    gradients[i] += mu * distance;
  }
  return (mu / 2) * squares;
}
