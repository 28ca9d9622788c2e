/** @file What the table must know of each operator. */

import type { Shape } from '../dimension.ts';
import type { DataType, Node, Value } from '../graph.ts';
import type { Attributes, Operator } from './attributes.ts';

/** Receives the ONNX nodes that an operator stands for. */
export interface Emitter {
  /** Name of a constant tensor. */
  constant(dataType: DataType, shape: readonly number[], elements: readonly number[]): string;
  /** Name of an int64 tensor [rank] that is fed at every run and holds a shape with named sizes. */
  shape(shape: Shape): string;
  /** Name for an intermediate result of a composite. */
  intermediate(label: string): string;
  node(emitted: EmittedNode): void;
}

export interface EmittedNode {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Names of the results after the first. */
  readonly others?: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  readonly domain?: string;
}

/** A graph inside a node, such as the body of a loop; it sees the values of the graph around it. */
export interface OnnxBody {
  readonly inputs: readonly OnnxValue[];
  readonly nodes: readonly EmittedNode[];
  readonly outputs: readonly OnnxValue[];
}

export interface OnnxValue {
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: Shape;
}

export type OnnxAttribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'graph'; readonly value: OnnxBody };

/** Gradient of the loss in one input, given the gradient `dy` in the output. May be of a broadcast shape. */
export type GradientRule<O extends Operator> = (dy: Value, node: Node<O>, index: number) => Value;

export interface Rule<O extends Operator> {
  /** Type and shape of the result. @throws Error when the inputs do not fit. */
  infer(inputs: readonly Value[], attributes: Attributes[O]): { dataType: DataType; shape: Shape };
  /** One rule per input (null: no gradient flows there), one rule for all inputs, or null for none at all. */
  readonly gradient: readonly (GradientRule<O> | null)[] | GradientRule<O> | null;
  emit(node: Node<O>, emitter: Emitter): void;
}

export type Rules<O extends Operator> = { readonly [P in O]: Rule<P> };

export const int = (value: number): OnnxAttribute => ({ kind: 'int', value });
export const ints = (value: readonly number[]): OnnxAttribute => ({ kind: 'ints', value });
export const float = (value: number): OnnxAttribute => ({ kind: 'float', value });
export const text = (value: string): OnnxAttribute => ({ kind: 'string', value });

/** Emits one ONNX node of the operator's own name. */
export function plain<O extends Operator>(node: Node<O>, emitter: Emitter): void {
  emitter.node({ type: node.operator, inputs: names(node), output: node.output.name });
}

export function names(node: Pick<Node, 'inputs'>): string[] {
  return node.inputs.map((input) => input.name);
}

export function require(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** ONNX TensorProto.DataType numbers (onnx.proto). */
export const ONNX_DATA_TYPES: Readonly<Record<DataType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint4: 21,
};
