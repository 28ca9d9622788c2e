/** @file The plain tensor that adapters, updates and aggregates are made of. */

/** Row-major float32 values. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * Tensors by name, iterated in the order of insertion. Adapter tensors carry PEFT's names, such as
 * `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`.
 */
export type NamedTensors = ReadonlyMap<string, Tensor>;

/** Number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
