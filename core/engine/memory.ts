/** @file What a graph's intermediate results take of memory, counted without running it. */

import type { Shape } from '../graph/dimension.ts';
import type { DataType, Graph, Node, Value } from '../graph/graph.ts';
import { neededNodes } from '../graph/onnx.ts';
import type { Operator } from '../graph/operators/attributes.ts';
import type { EngineBatch } from './batch.ts';

/** Sizes of the named axes. */
export type Sizes = Readonly<Record<string, number>>;

const BYTES: Readonly<Record<DataType, number>> = {
  float16: 2,
  float32: 4,
  float64: 8,
  int32: 4,
  int64: 8,
  bool: 1,
  uint8: 1,
  int8: 1,
  uint4: 0.5,
};

/** Results that are their first input under another shape. */
const VIEWS: ReadonlySet<Operator> = new Set(['Reshape', 'After']);
/** Operators that may write their result over an input of the same size that nobody needs any more. */
const IN_PLACE: ReadonlySet<Operator> = new Set([
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Neg',
  'Exp',
  'Log',
  'Sqrt',
  'Reciprocal',
  'Sigmoid',
  'Softmax',
  'PickAdd',
]);

/** The sizes of a batch's axes, as the graphs of a loss name them. */
export function sizesOf({ batch, length, targets }: EngineBatch): Record<string, number> {
  return { batch, length, rows: targets.places.length, positions: Math.max(length, 512) };
}

/** Elements of a tensor once the named axes have sizes. */
export function elementsOf(shape: Shape, sizes: Sizes): number {
  const factor = (part: string): number => {
    if (/^\d+$/.test(part)) return Number(part);
    const size = sizes[part];
    if (size === undefined) throw new Error(`the size of ${part} is not known`);
    return size;
  };
  const dimension = (size: string): number =>
    size.startsWith('(')
      ? size
          .slice(1, -1)
          .split('+')
          .reduce((total, part) => total + dimension(part), 0)
      : size.split('*').reduce((product, part) => product * factor(part), 1);
  return shape.reduce<number>(
    (product, size) => product * (typeof size === 'number' ? size : dimension(size)),
    1,
  );
}

export function bytesOf({ shape, dataType }: Pick<Value, 'shape' | 'dataType'>, sizes: Sizes): number {
  return elementsOf(shape, sizes) * BYTES[dataType];
}

/**
 * The order in which ONNX Runtime runs a graph: depth first from its outputs, the last of them first, each node after
 * its inputs.
 */
export function executionOrder(graph: Graph): Node[] {
  const nodes = neededNodes(graph);
  const index = new Map(nodes.map((node, at) => [node, at]));
  const order: Node[] = [];
  const visited = new Set<Node>();
  const stack = graph.outputs.flatMap(({ value: { producer } }) =>
    producer ? [{ node: producer, leave: false }] : [],
  );
  for (let top = stack.pop(); top; top = stack.pop()) {
    if (top.leave) {
      order.push(top.node);
      continue;
    }
    if (visited.has(top.node)) continue;
    visited.add(top.node);
    stack.push({ node: top.node, leave: true });
    const producers = top.node.inputs.flatMap(({ producer }) => (producer ? [producer] : []));
    producers.sort((a, b) => (index.get(a) ?? 0) - (index.get(b) ?? 0));
    for (const node of producers) if (!visited.has(node)) stack.push({ node, leave: false });
  }
  return order;
}

/**
 * The most that intermediate results take at one time, in bytes: each from the node that makes it to its last reader.
 */
export function peakBytes(graph: Graph, sizes: Sizes): number {
  const order = executionOrder(graph);
  const storage = (value: Value): Value =>
    value.producer && VIEWS.has(value.producer.operator) ? storage(value.producer.inputs[0]) : value;
  const readers = new Map<Value, number>();
  const count = (value: Value, by: number) =>
    readers.set(storage(value), (readers.get(storage(value)) ?? 0) + by);
  for (const node of order) for (const input of readInputs(node)) count(input, 1);
  for (const { value } of graph.outputs) count(value, 1);
  const held = new Map<Value, number>();
  let now = 0;
  let most = 0;
  for (const node of order) {
    const { output } = node;
    if (!VIEWS.has(node.operator)) {
      const bytes = bytesOf(output, sizes);
      const reused = IN_PLACE.has(node.operator)
        ? node.inputs.map(storage).find((input) => held.get(input) === bytes && readers.get(input) === 1)
        : undefined;
      if (reused) held.delete(reused);
      else now += bytes;
      held.set(output, bytes);
      most = Math.max(most, now + workingBytes(node, sizes));
    }
    for (const input of readInputs(node)) {
      count(input, -1);
      const kept = storage(input);
      if (readers.get(kept) === 0 && held.has(kept)) {
        now -= held.get(kept) ?? 0;
        held.delete(kept);
      }
    }
  }
  return most;
}

/** What the emitted nodes read: a product of codes does not read what they are codes of. */
function readInputs(node: Node): Set<Value> {
  const fromCodes = node.operator === 'IntegerProduct' || node.operator === 'IntegerVocabularyLoss';
  return new Set(fromCodes ? node.inputs.slice(1) : node.inputs);
}

/** What a composite takes beside its result while it runs. */
function workingBytes(node: Node, sizes: Sizes): number {
  switch (node.operator) {
    case 'VocabularyLoss': {
      const { rows, classes } = (node as Node<'VocabularyLoss'>).attributes;
      const [hidden, weight] = node.inputs;
      const [vocabulary, size] = weight.shape;
      const scores = Math.min(rows, elementsOf([hidden.shape[0]], sizes)) * elementsOf([vocabulary], sizes);
      const isPacked = node.inputs.length > 3;
      const unpacked = isPacked ? Math.min(classes, Number(vocabulary)) * Number(size) : 0;
      return 4 * (2 * scores + unpacked);
    }
    case 'IntegerVocabularyLoss': {
      const { rows } = (node as Node<'IntegerVocabularyLoss'>).attributes;
      const [hidden, , , , values] = node.inputs;
      const scores = Math.min(rows, elementsOf([hidden.shape[0]], sizes)) * Number(values.shape[1]);
      // Scores and probabilities, and these in codes.
      return (2 * 4 + 2) * scores;
    }
    case 'CausalAttention':
    case 'CausalAttentionGradient': {
      const isGradient = node.operator === 'CausalAttentionGradient';
      const [query] = isGradient ? node.inputs.slice(1) : node.inputs;
      const { rows } = (node as Node<'CausalAttention'>).attributes;
      const [batch, groups, repeats, length] = query.shape;
      const scores =
        elementsOf([batch, groups, repeats, length], sizes) * Math.min(rows, elementsOf([length], sizes));
      // Scores and what is made of them at one time, and the results, which grow by copies.
      return 4 * (isGradient ? 4 : 2) * scores + 2 * bytesOf(node.output, sizes);
    }
    case 'IntegerProduct':
    case 'QuantizeRows':
    case 'ToHalf':
    case 'SwiGlu':
      return 4 * elementsOf(node.output.shape, sizes);
    default:
      return 0;
  }
}

/** Node and ONNX Runtime themselves, and the objects of a session for each node of its graph; measured. */
const PROCESS = 130 * 2 ** 20;
const NODE = 14 * 2 ** 10;

/**
 * What a training step takes of its process at the most, in bytes: what the graph is fed (weights, adapter, batch), the
 * gradients and two moments of what is trained, the graph itself and its intermediate results.
 * @param trained number of elements that are trained
 */
export function stepBytes({ graph }: { readonly graph: Graph }, sizes: Sizes, trained: number): number {
  const fed = graph.inputs.reduce((sum, input) => sum + bytesOf(input, sizes), 0);
  return PROCESS + NODE * graph.nodes.length + fed + 3 * 4 * trained + peakBytes(graph, sizes);
}
