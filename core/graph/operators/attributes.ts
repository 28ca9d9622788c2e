/** @file The operators and what each needs to know besides its inputs. */

import type { DataType } from '../graph.ts';
import type { Shape } from '../dimension.ts';

type None = Record<string, never>;

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
  // linear algebra
  MatMul: None;
  /** Inputs: A, B and perhaps C. alpha · op(A) · op(B) + C, op being the identity or the transposition. */
  Gemm: { transA: boolean; transB: boolean; alpha: number };
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
  // parts of a transformer
  /** Inputs: x [rows, size], gain [size]. x / sqrt(mean(x²) + epsilon) · gain (Zhang and Sennrich, 2019). */
  RmsNorm: { epsilon: number };
  /** Inputs: x [batch, heads, length, size], positions (int64) [batch, length], cos and sin [positions, size/2]. Half-rotation RoPE (Su et al., 2021). */
  RotaryEmbedding: None;
  /** Inputs: gate, up. gate · σ(gate) · up (Shazeer, 2020). */
  SwiGlu: None;
  /** Inputs: values (uint4 or int8) [rows, columns], scale [rows, columns/block]. */
  DequantizeLinear: { block: number };
}

export type Operator = keyof Attributes;
