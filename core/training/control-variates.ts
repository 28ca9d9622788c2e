/** @file SCAFFOLD: steers local training by the difference of the server's and the client's control variates. */

import { emptyParameters, type Parameters } from '../engine/parameters.ts';
import type { NamedTensors } from '../model/tensor.ts';

/** Tensors of the adapter's names and shapes. */
export interface ControlVariates {
  /** c, of all sites together. */
  readonly server: NamedTensors;
  /** c_k, of this site: zeros before its first round. */
  readonly client: NamedTensors;
}

/** What a round leaves behind. */
export interface ControlVariatesAfter {
  /** c_k⁺, which the site keeps for its next round. */
  readonly client: NamedTensors;
  /** Δc_k = c_k⁺ − c_k, which the server averages. */
  readonly change: NamedTensors;
}

export interface DriftCorrection {
  /** p ← p − lr·(c − c_k), after the optimizer's step and outside its moments, as OpenFedLLM does. */
  apply(learningRate: number): void;
  /** c_k⁺ = (w − p)/(steps·lr) − (c − c_k), option II of the paper. */
  finish(steps: number, learningRate: number): ControlVariatesAfter;
}

/**
 * SCAFFOLD (Karimireddy et al., 2020, option II) for parameters that are where the round starts.
 * @throws Error when a control variate lacks a tensor of the parameters or has another size
 */
export function driftCorrection(parameters: Parameters, variates: ControlVariates): DriftCorrection {
  const { flat } = parameters;
  const start = flat.slice();
  const server = sideBySide(variates.server, parameters);
  const client = sideBySide(variates.client, parameters);
  return {
    apply(learningRate) {
      for (let i = 0; i < flat.length; i++) flat[i] -= learningRate * (server[i] - client[i]);
    },
    finish(steps, learningRate) {
      const shapes = [...parameters.tensors].map(([name, { shape }]) => ({ name, shape }));
      const [after, change] = [emptyParameters(shapes), emptyParameters(shapes)];
      for (let i = 0; i < flat.length; i++) {
        after.flat[i] = (start[i] - flat[i]) / (steps * learningRate) - (server[i] - client[i]);
        change.flat[i] = after.flat[i] - client[i];
      }
      return { client: after.tensors, change: change.tensors };
    },
  };
}

/** The tensors in the order of the parameters. */
function sideBySide(tensors: NamedTensors, { flat, tensors: like }: Parameters): Float32Array {
  const packed = new Float32Array(flat.length);
  let offset = 0;
  for (const [name, { data }] of like) {
    const given = tensors.get(name);
    if (given?.data.length !== data.length) throw new Error(`the control variate of ${name} does not fit`);
    packed.set(given.data, offset);
    offset += data.length;
  }
  return packed;
}
