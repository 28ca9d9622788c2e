/** @file A graph as text, one line a node, for people who debug it. */

import type { Graph, Value } from './graph.ts';
import { neededNodes } from './onnx.ts';

const describe = (value: Value) => `${value.dataType}[${value.shape.join(', ')}]`;

/**
 * Inputs, needed nodes and outputs, for example
 * `/layers.0/mlp/Gemm = Gemm(hidden, weight) {"transA":false,…} : float32[rows, 64]`.
 */
export function dump(graph: Graph): string {
  const short = (value: Value) => value.producer?.name ?? value.name;
  const lines = [
    ...graph.inputs.map((input) => `input ${input.name} : ${describe(input)}`),
    ...neededNodes(graph).map((node) => {
      const attributes = Object.keys(node.attributes).length > 0 ? ` ${JSON.stringify(node.attributes)}` : '';
      const inputs = node.inputs.map(short).join(', ');
      return `${node.name} = ${node.operator}(${inputs})${attributes} : ${describe(node.output)}`;
    }),
    ...graph.outputs.map(({ name, value }) => `output ${name} = ${short(value)} : ${describe(value)}`),
  ];
  return `${lines.join('\n')}\n`;
}
