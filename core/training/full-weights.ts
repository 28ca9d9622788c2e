/** @file All weights of a small model as parameters that are trained in place. */

import { emptyParameters, type Parameters } from '../engine/parameters.ts';
import { lossGraph } from '../engine/graphs/loss.ts';
import type { WeightStore } from '../model/weights.ts';

/** Weights in memory, and a store that hands out views of them, so that what reads it sees each step. */
export interface FullWeights {
  readonly parameters: Parameters;
  readonly store: WeightStore;
}

/** Reads every weight that the model computes with, as float32: 4 bytes a parameter, of which there is one copy. */
export function fullWeights(store: WeightStore): FullWeights {
  const graph = lossGraph({ configuration: store.configuration, packing: () => 'float32', adapter: null });
  const names = graph.weights.map(({ tensor }) => tensor);
  const parameters = emptyParameters(names.map((name) => ({ name, shape: store.describe(name).shape })));
  for (const [name, { data }] of parameters.tensors) data.set(store.readFloat32(name));
  const find = (name: string) => {
    const tensor = parameters.tensors.get(name);
    if (!tensor) throw new Error(`the model does not compute with ${name}`);
    return tensor;
  };
  return {
    parameters,
    store: {
      configuration: store.configuration,
      names,
      describe: (name) => ({ shape: find(name).shape, format: 'F32' }),
      readFloat32: (name) => find(name).data,
      readPacked: (name) => {
        find(name);
        return null;
      },
      close: () => store.close(),
    },
  };
}

/** Bytes that training all weights takes besides a step's results: weights, gradients and AdamW's two moments. */
export function fullTrainingBytes(parameters: number): number {
  return 4 * 4 * parameters;
}
