/** @file One thin function per operator: how graphs are written. */

import { product, sameShape, type Shape } from './dimension.ts';
import type { DataType, Value } from './graph.ts';
import type { Attributes } from './operators/attributes.ts';

const unary =
  (
    operator:
      | 'Neg'
      | 'Exp'
      | 'Log'
      | 'Sqrt'
      | 'Reciprocal'
      | 'Sigmoid'
      | 'Floor'
      | 'Softplus'
      | 'Softmax'
      | 'ZerosLike'
      | 'ToHalf'
      | 'FromHalf',
  ) =>
  (x: Value): Value =>
    x.graph.apply(operator, [x], {});

const binary =
  (
    operator:
      | 'Add'
      | 'Sub'
      | 'Mul'
      | 'Div'
      | 'MatMul'
      | 'Equal'
      | 'Less'
      | 'Gather'
      | 'Pick'
      | 'SwiGlu'
      | 'ExpandLike',
  ) =>
  (a: Value, b: Value): Value =>
    a.graph.apply(operator, [a, b], {});

export const neg = unary('Neg');
export const exp = unary('Exp');
export const log = unary('Log');
export const sqrt = unary('Sqrt');
export const reciprocal = unary('Reciprocal');
export const sigmoid = unary('Sigmoid');
export const floor = unary('Floor');
export const softplus = unary('Softplus');
/** Softmax over the last axis. */
export const softmax = unary('Softmax');
export const zerosLike = unary('ZerosLike');
export const toHalf = unary('ToHalf');
export const fromHalf = unary('FromHalf');

export const add = binary('Add');
export const sub = binary('Sub');
export const mul = binary('Mul');
export const div = binary('Div');
export const matMul = binary('MatMul');
export const equal = binary('Equal');
export const less = binary('Less');
export const gather = binary('Gather');
export const pick = binary('Pick');
export const swiGlu = binary('SwiGlu');

/** x repeated to the shape of `like`; x itself where the shapes are equal already. */
export function expandLike(x: Value, like: Value): Value {
  return sameShape(x.shape, like.shape) ? x : x.graph.apply('ExpandLike', [x, like], {});
}

/** x itself, but not before `earlier` has been computed. */
export function after(x: Value, earlier: Value): Value {
  return x.graph.apply('After', [x, earlier], {});
}

/** A scalar of x's element type. */
export function scalarLike(x: Value, value: number): Value {
  return x.graph.constant(x.dataType, [], [value]);
}

/** factor · x */
export function scale(x: Value, factor: number): Value {
  return factor === 1 ? x : mul(x, scalarLike(x, factor));
}

export function where(condition: Value, a: Value, b: Value): Value {
  return a.graph.apply('Where', [condition, a, b], {});
}

export function cast(x: Value, to: DataType): Value {
  return x.dataType === to ? x : x.graph.apply('Cast', [x], { to });
}

/** alpha · op(a) · op(b) + plus for matrices; adding within the product saves a pass over memory. */
export function gemm(
  a: Value,
  b: Value,
  options: { transA?: boolean; transB?: boolean; alpha?: number; plus?: Value } = {},
): Value {
  const { transA = false, transB = false, alpha = 1, plus } = options;
  return a.graph.apply('Gemm', plus ? [a, b, plus] : [a, b], { transA, transB, alpha });
}

/** Axes in a new order; the identity adds no node. */
export function transpose(x: Value, permutation: readonly number[]): Value {
  return permutation.every((axis, index) => axis === index)
    ? x
    : x.graph.apply('Transpose', [x], { permutation });
}

/** x with its last two axes exchanged. */
export function swapLastAxes(x: Value): Value {
  const rank = x.shape.length;
  const permutation = Array.from({ length: rank }, (_, axis) =>
    axis === rank - 1 ? rank - 2 : axis === rank - 2 ? rank - 1 : axis,
  );
  return transpose(x, permutation);
}

/** The same elements under another shape; successive reshapes collapse, an equal shape adds no node. */
export function reshape(x: Value, shape: Shape): Value {
  if (product(x.shape) !== product(shape)) {
    throw new Error(`${x.name}: [${x.shape.join(', ')}] cannot become [${shape.join(', ')}]`);
  }
  return sameShape(x.shape, shape) ? x : x.graph.apply('Reshape', [x], { shape });
}

export function concat(parts: readonly Value[], axis: number): Value {
  return parts.length === 1 ? parts[0] : parts[0].graph.apply('Concat', parts, { axis });
}

export function slice(x: Value, axis: number, range: { start: number; end: number }): Value {
  return x.graph.apply('Slice', [x], { axis, ...range });
}

export function scatterAdd(x: Value, indices: Value, updates: Value): Value {
  return x.graph.apply('ScatterAdd', [x, indices, updates], {});
}

export function pickAdd(x: Value, indices: Value, updates: Value): Value {
  return x.graph.apply('PickAdd', [x, indices, updates], {});
}

const reduction =
  (operator: 'ReduceSum' | 'ReduceMean' | 'ReduceMax') =>
  (x: Value, axes: readonly number[]): Value =>
    axes.length === 0 ? x : x.graph.apply(operator, [x], { axes });

/** Reductions keep the reduced axes with size 1. */
export const reduceSum = reduction('ReduceSum');
export const reduceMean = reduction('ReduceMean');
export const reduceMax = reduction('ReduceMax');

export function rmsNorm(x: Value, gain: Value, epsilon: number): Value {
  return x.graph.apply('RmsNorm', [x, gain], { epsilon });
}

export function rotaryEmbedding(x: Value, tables: { positions: Value; cos: Value; sin: Value }): Value {
  return x.graph.apply('RotaryEmbedding', [x, tables.positions, tables.cos, tables.sin], {});
}

export function dequantizeLinear(values: Value, factors: Value, block: number): Value {
  return values.graph.apply('DequantizeLinear', [values, factors], { block });
}

/** −log softmax(logits)[label] of each row: logits [rows, classes], labels [rows, 1] → [rows, 1]. */
export function crossEntropy(logits: Value, labels: Value): Value {
  return logits.graph.apply('CrossEntropy', [logits, softmax(logits), labels], {});
}

/** dy · (p − one-hot(label)) */
export function crossEntropyGradient(dy: Value, probabilities: Value, labels: Value): Value {
  const minusOne = expandLike(probabilities.graph.constant(dy.dataType, [1, 1], [-1]), dy);
  return mul(pickAdd(probabilities, labels, minusOne), dy);
}

/**
 * −log softmax(hidden · weightᵀ)[label] of each row, [rows, 1], computed `rows` rows at once so that the scores of all
 * rows never lie in memory together. The weight must be frozen: no gradient flows into it. One of int8 has the scales of
 * its blocks beside it.
 */
export function vocabularyLoss(
  hidden: Value,
  {
    matrix: { weight, scale: scales },
    labels,
    ...attributes
  }: {
    matrix: { readonly weight: Value; readonly scale?: Value };
    labels: Value;
    rows: number;
    classes: number;
    differentiable: boolean;
  },
): Value {
  const inputs = [hidden, weight, labels, ...(scales ? [scales] : [])];
  const both = hidden.graph.apply('VocabularyLoss', inputs, attributes);
  return attributes.differentiable ? slice(both, 1, { start: 0, end: 1 }) : both;
}

/** The same from codes of the hidden states and of the weight. */
export function integerVocabularyLoss(
  hidden: Value,
  {
    coded: { codes, largest, limit, factor },
    labels,
    ...attributes
  }: {
    coded: CodedProduct;
    labels: Value;
    rows: number;
    differentiable: boolean;
  },
): Value {
  const { values, columns, backValues, backColumns } = factor;
  const inputs = [hidden, codes, largest, labels, values, columns, backValues, backColumns];
  const both = hidden.graph.apply('IntegerVocabularyLoss', inputs, { ...attributes, limit });
  return attributes.differentiable ? slice(both, 1, { start: 0, end: 1 }) : both;
}

/** See `CausalAttention` among the operators. */
export function causalAttention(
  query: Value,
  { keys, values, mask, rows }: { keys: Value; values: Value; mask: Value; rows: number },
): Value {
  return query.graph.apply('CausalAttention', [query, keys, values, mask], { rows });
}

export function attentionMask(tokens: Value, ids: Value, window: number | null): Value {
  return tokens.graph.apply('AttentionMask', [tokens, ids], { window });
}

export function causalAttentionGradient(
  dy: Value,
  inputs: readonly Value[],
  attributes: Attributes['CausalAttentionGradient'],
): { queries: Value; keys: Value; values: Value } {
  const queries = dy.graph.apply('CausalAttentionGradient', [dy, ...inputs], attributes);
  const other = (part: 'keys' | 'values') => dy.graph.apply('AttentionGradientPart', [queries], { part });
  return { queries, keys: other('keys'), values: other('values') };
}

/** x Wᵀ for weights packed in four or eight bits: see `MatMulNBits` among the operators. */
export function matMulNBits(
  x: Value,
  { values, scale: factors, zeros }: { values: Value; scale: Value; zeros?: Value },
  attributes: Attributes['MatMulNBits'],
): Value {
  return x.graph.apply('MatMulNBits', [x, values, factors, ...(zeros ? [zeros] : [])], attributes);
}

/** Attention with a cache of fixed capacity, and the cache after it: see `GroupQueryAttention` among the operators. */
export function groupQueryAttention(
  x: Value,
  inputs: { keys: Value; values: Value; last: Value; total: Value; cos: Value; sin: Value },
  attributes: Attributes['GroupQueryAttention'],
): { y: Value; keys: Value; values: Value } {
  const { keys, values, last, total, cos, sin } = inputs;
  const y = x.graph.apply('GroupQueryAttention', [x, keys, values, last, total, cos, sin], attributes);
  const after = (part: 'keys' | 'values') => x.graph.apply('CacheAfter', [y], { part });
  return { y, keys: after('keys'), values: after('values') };
}

export function largestOfRows(x: Value): Value {
  return x.graph.apply('LargestOfRows', [x], {});
}

export function quantizeRows(x: Value, largest: Value, limit: number): Value {
  return x.graph.apply('QuantizeRows', [x, largest], { limit });
}

/** Each block of channels of x [rows, channels] times the rotation [block, block]. */
export function rotateBlocks(x: Value, rotation: Value): Value {
  const [rows, channels] = x.shape;
  const [block] = rotation.shape;
  const blocks = product([rows, Number(channels) / Number(block)]);
  return reshape(gemm(reshape(x, [blocks, block]), rotation), x.shape);
}

/** A frozen matrix in codes with its columns' scales, for the product at hand and for the one backward. */
export interface IntegerFactor {
  readonly values: Value;
  readonly columns: Value;
  readonly backValues: Value;
  readonly backColumns: Value;
  /** By what the gradient's blocks are rotated before they are coded, where they are. */
  readonly rotation?: Value;
}

/** Codes of the rows x (or of a rotation of them, if W's are rotated too), what they are worth, and those of W. */
export interface CodedProduct {
  readonly codes: Value;
  readonly largest: Value;
  /** The largest code of a row. */
  readonly limit: number;
  readonly factor: IntegerFactor;
}

/** x · Wᵀ from the codes of both. */
export function integerProduct(
  x: Value,
  { codes, largest, limit, factor: { values, columns, backValues, backColumns, rotation } }: CodedProduct,
): Value {
  const factor = [values, columns, backValues, backColumns, ...(rotation ? [rotation] : [])];
  return x.graph.apply('IntegerProduct', [x, codes, largest, ...factor], { limit });
}
