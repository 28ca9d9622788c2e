import { describe, expect, it } from 'vitest';

import * as b from '../../core/graph/build.ts';
import { gradients } from '../../core/graph/gradient.ts';
import { Graph, type Node } from '../../core/graph/graph.ts';
import { neededNodes } from '../../core/graph/onnx.ts';
import { halfBits, halfTable } from '../../core/model/half.ts';
import { f32, run } from './evaluate.ts';

const values = [0, 1, -1 / 3, 1e-3, 2049, 65504, 65519, 1e6, -1e6];

/** y = f³ with f = x by way of float16, and the gradient of its sum in x. */
function cube(segments?: (node: Node) => string | null): Graph {
  const graph = new Graph();
  const x = graph.input('x', 'float32', ['count']);
  const rounded = b.fromHalf(b.toHalf(x));
  const y = b.mul(b.mul(rounded, rounded), rounded);
  graph.output('rounded', rounded);
  const loss = b.reduceSum(y, [0]);
  graph.output('gradient', gradients(loss, [x], segments)[0]);
  return graph;
}

describe('what goes by way of float16', () => {
  it('is rounded to it, and beyond it is its largest number', async () => {
    const { rounded } = await run(cube(), [f32([values.length], values)]);
    const nearest = (value: number) => halfTable()[halfBits(Math.max(-65504, Math.min(65504, value)))];
    expect(rounded).toEqual(values.map(nearest));
  });

  it('has the gradient of the rounded number, handed on as it is', async () => {
    const { rounded, gradient } = await run(cube(), [f32([values.length], values)]);
    gradient.forEach((slope, at) =>
      expect(slope / (3 * rounded[at] ** 2 || 1)).toBeCloseTo(rounded[at] && 1, 6),
    );
  });

  it('is read by the reverse walk in float16 where it is computed again', () => {
    const again = ({ operator }: Node) => (operator === 'FromHalf' ? 'again' : null);
    const kept = neededNodes(cube(again)).filter(({ operator }) => operator === 'After');
    expect(kept.map(({ output }) => output.dataType)).toEqual(['float16']);
  });
});
