/** @file An adapter's tensors side by side in one array, as the optimizer and the engine want them. */

import { elementCount, type NamedTensors, type Tensor } from '../model/tensor.ts';

/** Tensors that are views into one array, in a fixed order. */
export interface Parameters {
  readonly flat: Float32Array;
  readonly tensors: NamedTensors;
}

/** Zeros of the given shapes. */
export function emptyParameters(
  shapes: readonly { readonly name: string; readonly shape: readonly number[] }[],
): Parameters {
  const flat = new Float32Array(shapes.reduce((total, { shape }) => total + elementCount(shape), 0));
  let offset = 0;
  const tensors = shapes.map(({ name, shape }): [string, Tensor] => {
    const size = elementCount(shape);
    const data = flat.subarray(offset, offset + size);
    offset += size;
    return [name, { shape, data }];
  });
  return { flat, tensors: new Map(tensors) };
}

/** A copy of the tensors side by side, in their order. */
export function packParameters(tensors: NamedTensors): Parameters {
  const packed = emptyParameters([...tensors].map(([name, { shape }]) => ({ name, shape })));
  for (const [name, { data }] of packed.tensors) data.set(tensors.get(name)?.data ?? []);
  return packed;
}
