/** @file What a graph's intermediate results take of memory, counted without running it. */

import type { Shape } from '../graph/dimension.ts';
import type { DataType, Graph, Node, Value } from '../graph/graph.ts';
import { emittedNodes } from '../graph/onnx.ts';
import type { Operator } from '../graph/operators/attributes.ts';

/** Sizes of the named axes. */
export type Sizes = Readonly<Record<string, number>>;

const BYTES: Readonly<Record<DataType, number>> = {
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
 * The order in which ONNX Runtime runs a graph: depth first from the nodes that nobody reads, the last of them first,
 * each node after its inputs.
 */
export function executionOrder(graph: Graph): Node[] {
  const nodes = emittedNodes(graph);
  const index = new Map(nodes.map((node, at) => [node, at]));
  const read = new Set(nodes.flatMap((node) => node.inputs));
  const order: Node[] = [];
  const visited = new Set<Node>();
  const stack = nodes.filter(({ output }) => !read.has(output)).map((node) => ({ node, leave: false }));
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
 * @param working bytes that a node takes for itself while it runs
 */
export function peakBytes(graph: Graph, sizes: Sizes, working: (node: Node) => number = () => 0): number {
  const order = executionOrder(graph);
  const storage = (value: Value): Value =>
    value.producer && VIEWS.has(value.producer.operator) ? storage(value.producer.inputs[0]) : value;
  const readers = new Map<Value, number>();
  const count = (value: Value, by: number) =>
    readers.set(storage(value), (readers.get(storage(value)) ?? 0) + by);
  for (const node of order) for (const input of new Set(node.inputs)) count(input, 1);
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
      most = Math.max(most, now + working(node));
    }
    for (const input of new Set(node.inputs)) {
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
