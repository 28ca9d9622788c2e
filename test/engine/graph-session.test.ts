import { Tensor } from 'onnxruntime-node';
import { expect, it } from 'vitest';
import { collectResultsWith, flushDenormals, openGraph } from '../../core/engine/graph-session.ts';
import { mul, softmax } from '../../core/graph/build.ts';
import { Graph } from '../../core/graph/graph.ts';

it.skipIf(process.arch !== 'x64')(
  'numbers below the normal ones of float32 are zero, on every thread',
  async () => {
    flushDenormals();
    const [rows, columns] = [512, 128];
    const graph = new Graph();
    const scores = graph.input('scores', 'float32', [rows, columns]);
    const shares = softmax(scores);
    graph.output('shares', mul(shares, graph.constant('float32', [], [0.5])));
    // exp(−87.5) = 1e-38 is no normal number any more.
    const values = Float32Array.from({ length: rows * columns }, (_, at) => (at % columns === 0 ? 0 : -87.5));
    const session = await openGraph(graph, null, { device: 'cpu', threads: 2 });
    try {
      const { shares: found } = await session.run({ scores: new Tensor('float32', values, [rows, columns]) });
      const expected = Float32Array.from(values, (value) => (value === 0 ? 0.5 : 0));
      expect(found.data).toEqual(expected);
    } finally {
      await session.release();
    }
  },
);

it('what earlier runs returned is collected before a run whose results have their places', async () => {
  const graph = new Graph();
  const x = graph.input('x', 'float32', [2]);
  graph.output('y', mul(x, x));
  const session = await openGraph(graph, null, { device: 'cpu', threads: 1 });
  let collected = 0;
  collectResultsWith(() => collected++);
  try {
    const feeds = { x: new Tensor('float32', Float32Array.of(2, 3), [2]) };
    const place = new Float32Array(2);
    await session.run(feeds);
    await session.run(feeds, ['y']);
    expect(collected).toBe(0);
    await session.run(feeds, { y: new Tensor('float32', place, [2]) });
    expect(collected).toBe(1);
    expect([...place]).toEqual([4, 9]);
  } finally {
    collectResultsWith(() => undefined);
    await session.release();
  }
});
