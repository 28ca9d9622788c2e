/** @file The weights of a base model with an adapter in them, W + s·B·A, a tensor at a time. */

import type { Adapter } from '../model/adapter.ts';
import { loraNames, loraScale } from '../model/lora.ts';
import type { OpenModel } from '../model/open.ts';
import type { ExportRequest } from './export.ts';
import type { WeightType } from './formats.ts';

/** A model that is to be written, so that one larger than the memory can be: tensor by tensor. */
export interface Merge {
  readonly model: OpenModel;
  readonly adapter: Adapter;
  readonly type: WeightType;
  readonly request: ExportRequest;
}

/** The values of a tensor of Hugging Face's name, row-major. Those without a branch are the model's own. */
export function mergedTensor(
  { model, adapter }: Pick<Merge, 'model' | 'adapter'>,
  name: string,
): Float32Array {
  const values = Float32Array.from(model.weights.readFloat32(name));
  addAdapter(values, name, adapter);
  return values;
}

/** `mergedTensor` for the tensors of a file in their order, which tells how far it is and stops when it is told to. */
export function mergedInTurn({
  request: { signal, onProgress },
  ...merge
}: Merge): (name: string) => Float32Array {
  const total = merge.model.weights.names.length;
  let done = 0;
  return (name) => {
    signal?.throwIfAborted();
    const values = mergedTensor(merge, name);
    onProgress?.({ done: ++done, total });
    return values;
  };
}

/** Adds s·B·A [out, in] to the weights of a linear; those of other tensors stay as they are. */
function addAdapter(
  values: Float32Array,
  name: string,
  { configuration, tensors }: Pick<Adapter, 'configuration' | 'tensors'>,
): void {
  const names = loraNames(name.replace(/\.weight$/, ''));
  const [a, b] = [tensors.get(names.A), tensors.get(names.B)];
  if (a === undefined || b === undefined) return;
  const [rank, columns] = a.shape;
  const rows = b.shape[0];
  const scale = loraScale(configuration);
  const sums = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    sums.fill(0);
    for (let part = 0; part < rank; part++) {
      const factor = scale * b.data[row * rank + part];
      if (factor === 0) continue;
      const from = part * columns;
      for (let column = 0; column < columns; column++) sums[column] += factor * a.data[from + column];
    }
    const to = row * columns;
    for (let column = 0; column < columns; column++) values[to + column] += sums[column];
  }
}
