/** @file What a file of weights offers to the engine, whatever its format. */

import type { ModelConfiguration } from './configuration.ts';

/** Storage formats of a tensor: plain ones, and GGUF's quantised blocks of 32 and (K) of 256 values. */
export type WeightFormat =
  'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0' | 'Q4_1' | 'Q5_0' | 'Q5_1' | 'Q4_K' | 'Q5_K' | 'Q6_K';

/** Four-bit matrix: `w[row][column] = scale[row][block] · q + minimum[row][block]`, block = ⌊column / 32⌋. */
export interface Int4Matrix {
  readonly kind: 'int4';
  /** [rows, columns] = [out, in]; columns is a multiple of 32. */
  readonly shape: readonly [number, number];
  /** q in 0 … 15, row-major, two to a byte, the even column in the low four bits. */
  readonly values: Uint8Array;
  readonly scale: Float32Array;
  readonly minimum: Float32Array;
}

/** Eight-bit matrix: `w[row][column] = scale[row][block] · q`, block = ⌊column / 32⌋. */
export interface Int8Matrix {
  readonly kind: 'int8';
  readonly shape: readonly [number, number];
  readonly values: Int8Array;
  readonly scale: Float32Array;
}

/**
 * Read access to a model's tensors under Hugging Face's names (`model.layers.0.self_attn.q_proj.weight`) and in
 * Hugging Face's row order (half-rotation RoPE), also where the file stores them otherwise.
 */
export interface WeightStore {
  readonly configuration: ModelConfiguration;
  /** Names of all tensors, in the order of the file. */
  readonly names: readonly string[];
  /** @throws TributaryError `model.tensor-missing` */
  describe(name: string): { readonly shape: readonly number[]; readonly format: WeightFormat };
  /** The dequantised values, row-major. */
  readFloat32(name: string): Float32Array;
  /**
   * The values of a matrix packed without loss, or null where its format fits neither form: plain formats, Q5_1,
   * Q5_K and Q6_K, which take four bytes a weight in memory at every precision.
   */
  readPacked(name: string): Int4Matrix | Int8Matrix | null;
  close(): void;
}
