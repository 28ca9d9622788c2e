import { describe, expect, it } from 'vitest';

import * as b from '../../core/graph/build.ts';
import { gradients } from '../../core/graph/gradient.ts';
import { Graph, type Node } from '../../core/graph/graph.ts';
import { neededNodes } from '../../core/graph/onnx.ts';
import { f32, run } from './evaluate.ts';

const LAYERS = 3;

/** h ← h + swiglu(norm(h)·U, norm(h)·V)·W, three times with the same weights; kept: the sums. */
function build(segments?: (node: Node) => string | null): Graph {
  const graph = new Graph();
  const x = graph.input('x', 'float32', ['rows', 4]);
  const gain = graph.input('gain', 'float32', [4]);
  const [u, v, w] = ['u', 'v', 'w'].map((name) => graph.input(name, 'float32', [4, 4]));
  let hidden = b.scale(x, 2);
  for (let layer = 0; layer < LAYERS; layer++) {
    hidden = graph.scope(`layers.${layer}`, () => {
      const normed = b.rmsNorm(hidden, gain, 1e-5);
      return b.add(hidden, b.gemm(b.swiGlu(b.gemm(normed, u), b.gemm(normed, v)), w));
    });
  }
  const loss = b.reduceSum(b.mul(hidden, hidden), [0, 1]);
  graph.output('loss', loss);
  const parameters = [gain, u, v, w];
  gradients(loss, parameters, segments).forEach((gradient, index) =>
    graph.output(`gradient/${parameters[index].name}`, gradient),
  );
  return graph;
}

const layerOf = (node: Node) => /^\/layers\.\d+/.exec(node.name)?.[0] ?? null;
const wholeLayers = (node: Node) => (node.operator === 'Add' ? null : layerOf(node));
const cheapOnes = (node: Node) => (/RmsNorm|SwiGlu/.test(node.operator) ? layerOf(node) : null);

const numbers = (count: number, seed: number) =>
  Array.from({ length: count }, (_, index) => Math.sin(seed + 1.7 * index));
const operands = [
  f32([5, 4], numbers(20, 1)),
  f32([4], numbers(4, 2)),
  ...[3, 4, 5].map((seed) => f32([4, 4], numbers(16, seed))),
];

describe('recomputation', () => {
  it.each([
    ['whole layers', wholeLayers],
    ['cheap operators alone', cheapOnes],
  ])('of %s changes no bit of the results', async (_what, segments) => {
    const [plain, saving] = [build(), build(segments)];
    expect(await run(saving, operands)).toEqual(await run(plain, operands));
  });

  it('lets the reverse walk read nothing of the first computation but what is kept', () => {
    const graph = build(wholeLayers);
    const forward = (node: Node | null) => node !== null && layerOf(node) !== null;
    const readLater = neededNodes(graph)
      .filter((node) => !forward(node))
      .flatMap((node) => node.inputs.filter(({ producer }) => forward(producer)));
    expect(new Set(readLater.map(({ producer }) => producer?.operator))).toEqual(new Set(['Add']));
  });

  it('computes a segment once more and not more often', () => {
    const count = (graph: Graph) => neededNodes(graph).filter(({ operator }) => operator === 'SwiGlu').length;
    expect(count(build())).toBe(LAYERS);
    expect(count(build(wholeLayers))).toBe(2 * LAYERS);
  });

  it('waits with each segment for the gradient that needs it', () => {
    const waits = neededNodes(build(wholeLayers)).filter(({ operator }) => operator === 'After');
    expect(waits).toHaveLength(LAYERS);
    expect(waits.every(({ inputs }) => inputs[1].producer?.name.startsWith('/gradient'))).toBe(true);
  });
});
