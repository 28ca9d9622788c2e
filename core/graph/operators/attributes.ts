/** @file The operators and what each needs to know besides its inputs. */

import type { DataType } from '../graph.ts';
import type { Shape } from '../dimension.ts';

type None = Record<string, never>;

/** How a product with packed weights sees its other factor: as it is, or rounded to eight bits a block of 32. */
export type Activations = 'float32' | 'int8';

/** Names are those of ONNX operators, or of a small composite where ONNX has none (`ZerosLike`, `ExpandLike`). */
export interface Attributes {
  // element-wise
  Add: None;
  Sub: None;
  Mul: None;
  Div: None;
  Neg: None;
  Exp: None;
  Log: None;
  Sqrt: None;
  Reciprocal: None;
  Sigmoid: None;
  /** The largest integer not above; its gradient, zero almost everywhere, is not defined here. */
  Floor: None;
  /** log(1 + exp(x)) */
  Softplus: None;
  /** Inputs: condition (bool), then, else. */
  Where: None;
  Equal: None;
  Less: None;
  Cast: { to: DataType };
  /** x in float16, numbers beyond it as its largest. What is lost is not differentiated. */
  ToHalf: None;
  /** x of float16 in float32. */
  FromHalf: None;
  // linear algebra
  MatMul: None;
  /** Inputs: A, B and perhaps C. alpha · op(A) · op(B) + C, op being the identity or the transposition. */
  Gemm: { transA: boolean; transB: boolean; alpha: number };
  // products in eight bits
  /** x [rows, columns] → [rows, 1]: max |x|, which is worth as many steps of a row's codes as the largest of them. */
  LargestOfRows: None;
  /** Inputs: x [rows, columns], the largest of its rows [rows, 1]. Codes (uint8) of ±limit, limit + 1 for zero. */
  QuantizeRows: { limit: number };
  /**
   * x · Wᵀ from codes. Inputs: x [rows, in], its codes (uint8), the largest of its rows [rows, 1]; W's codes (int8)
   * [in, out], their columns' scales [out]; the same of the backward product: codes [out, in], scales [in]; where the
   * gradient is rotated before it is coded, the rotation of a block [block, block].
   */
  IntegerProduct: { limit: number };
  // layout
  Transpose: { permutation: readonly number[] };
  Reshape: { shape: Shape };
  Concat: { axis: number };
  /** Elements [start, end) of one axis. */
  Slice: { axis: number; start: number; end: number };
  /** Inputs: x, like. Repeats x along the axes where it has size 1. */
  ExpandLike: None;
  ZerosLike: None;
  /** Inputs: x, earlier. x itself, which waits for the other. */
  After: None;
  // selection; indices are int32, which GPUs prefer, or int64
  /** Inputs: table [rows, …], indices (any shape). Rows of the table. */
  Gather: None;
  /** Inputs: x [rows, …], indices [n], updates [n, …]. x with the updates added to its rows. */
  ScatterAdd: None;
  /** Inputs: x [rows, columns], indices [rows, 1]. One element of each row, [rows, 1]. */
  Pick: None;
  /** Inputs: x [rows, columns], indices [rows, 1], updates [rows, 1]. x with one element of each row increased. */
  PickAdd: None;
  // reductions, keeping the reduced axes with size 1
  ReduceSum: { axes: readonly number[] };
  ReduceMean: { axes: readonly number[] };
  ReduceMax: { axes: readonly number[] };
  /** Over the last axis. */
  Softmax: None;
  /** Inputs: logits [rows, classes], their Softmax, labels [rows, 1]. −log p(label), [rows, 1]. */
  CrossEntropy: None;
  /**
   * Inputs: hidden [rows, size], weight [classes, size], labels (integers) [rows, 1]; where the weight is int8, the
   * scales of its blocks [classes, blocks]. The cross-entropy of softmax(hidden · weightᵀ), [rows, 1]; if differentiable, its gradient in hidden beside it, [rows, 1 + size], of
   * which a loss may use the first column alone. So many `rows` are computed at once, and so many `classes` of an int8
   * weight are unpacked at once.
   */
  VocabularyLoss: { rows: number; classes: number; differentiable: boolean };
  /**
   * The same from codes. Inputs: hidden, its codes (uint8) and the largest of its rows; labels; the weight's codes [size,
   * classes] and their columns' scales [classes]; those of the weight less the mean of its rows, [classes, size] and [size].
   */
  IntegerVocabularyLoss: { rows: number; differentiable: boolean; limit: number };
  // parts of a transformer
  /** Inputs: x [rows, size], gain [size]. x / sqrt(mean(x²) + epsilon) · gain (Zhang and Sennrich, 2019). */
  RmsNorm: { epsilon: number };
  /** Inputs: x [batch, heads, length, size], positions (int64) [batch, length], cos and sin [positions, size/2]. Half-rotation RoPE (Su et al., 2021). */
  RotaryEmbedding: None;
  /**
   * Inputs: queries [batch, groups, repeats, length, size], keys and values [batch, groups, length, size], mask [batch, 1,
   * 1, length, length]. softmax(queries · keysᵀ + mask) · values, of the queries' shape. So many
   * `rows` of the length are computed at once, without the keys behind them, which the mask has to hide.
   */
  CausalAttention: { rows: number };
  /**
   * Inputs: the gradient in CausalAttention's result, then its inputs. The gradient in the queries, of their shape; those
   * in keys and values are its AttentionGradientParts.
   */
  CausalAttentionGradient: { rows: number };
  /** Input: a CausalAttentionGradient's result. [batch, groups, length, size]. */
  AttentionGradientPart: { part: 'keys' | 'values' };
  /**
   * Inputs: which places hold a token, 1 or 0 (int64) [batch, total], and the ids of the last of them [batch, length].
   * What is added to the scores, [batch, 1, 1, length, total]: nothing where a token is attended to, to the last
   * `window` tokens where that is not null.
   */
  AttentionMask: { window: number | null };
  /** Inputs: gate, up. gate · σ(gate) · up (Shazeer, 2020). */
  SwiGlu: None;
  /** Inputs: values (uint4 or int8) [rows, columns], scale [rows, columns/block]. */
  DequantizeLinear: { block: number };
  // decoding, on the CPU
  /**
   * Inputs: x [rows, columns], values (uint8) [out, columns / block, block · bits / 8], of four bits two to a byte, the
   * first in the low bits, scale [out, columns / block] and perhaps zero points of four bits (uint8) [out, blocks / 2
   * rounded up], packed alike; without them 8 of four bits, 128 of eight. x Wᵀ with w = scale · (q − zero point), x as
   * it is or rounded to eight bits a block.
   */
  MatMulNBits: { block: number; bits: 4 | 8; activations: Activations };
  /**
   * Inputs: queries, keys and values side by side [1, length, (heads + 2 · keyValueHeads) · size]; the keys and the
   * values before, each [1, keyValueHeads, capacity, size]; the number of tokens, less one and as it is (both int32
   * [1]); cos and sin [positions, size / 2]. Rotates, appends and attends causally, to the last `window` tokens where
   * that is not null: [1, length, heads · size]. Where CacheAfter is given the tensor that was fed, in place.
   */
  GroupQueryAttention: { heads: number; keyValueHeads: number; window: number | null };
  /** Input: a GroupQueryAttention's result. The keys or values with those of its tokens. */
  CacheAfter: { part: 'keys' | 'values' };
}

export type Operator = keyof Attributes;
