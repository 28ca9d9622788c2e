import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';

import { add, gemm, mul, reshape, scale, transpose, vocabularyLoss } from '../../core/graph/build.ts';
import { dump } from '../../core/graph/dump.ts';
import { Graph } from '../../core/graph/graph.ts';
import { toOnnx } from '../../core/graph/onnx.ts';
import { ProtobufWriter } from '../../core/graph/protobuf.ts';
import { f32, run, toTensor } from './evaluate.ts';

describe('protobuf', () => {
  it('writes the examples of the encoding guide', () => {
    expect(Buffer.from(new ProtobufWriter().int(1, 150).finish()).toString('hex')).toBe('089601');
    expect(Buffer.from(new ProtobufWriter().string(2, 'testing').finish()).toString('hex')).toBe(
      '120774657374696e67',
    );
    const nested = new ProtobufWriter().message(3, (inner) => inner.int(1, 150));
    expect(Buffer.from(nested.finish()).toString('hex')).toBe('1a03089601');
    expect(Buffer.from(new ProtobufWriter().int(1, -2).finish()).toString('hex')).toBe(
      '08feffffffffffffffff01',
    );
  });
});

describe('graphs', () => {
  it('keeps the names of its results for other programs alone, in the bodies of operators too', () => {
    const graph = new Graph();
    const hidden = graph.input('hidden', 'float32', ['rows', 4]);
    const labels = graph.input('labels', 'int32', ['rows', 1]);
    const weight = graph.input('weight', 'float32', [8, 4]);
    const attributes = { rows: 2, classes: 8, differentiable: false };
    const loss = graph.scope('loss', () =>
      vocabularyLoss(scale(hidden, 2), { matrix: { weight }, labels, ...attributes }),
    );
    graph.output('loss', loss);
    const names = (reader: 'sessions' | 'others') =>
      ['/loss/Mul/output', '/loss/VocabularyLoss/logits', 'weight', 'labels'].filter((name) =>
        // What follows a value's name is another field, not the rest of a node's.
        new RegExp(`${name}[^\\w/]`).test(
          Buffer.from(toOnnx(graph, undefined, { reader }).bytes).toString('latin1'),
        ),
      );
    expect(names('others')).toHaveLength(4);
    expect(names('sessions')).toEqual(['weight', 'labels']);
  });

  it('computes equal expressions once and stores equal constants once', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', [2]);
    expect(mul(scale(x, 3), scale(x, 3)).producer?.inputs[0]).toBe(scale(x, 3));
    expect(graph.constants).toHaveLength(1);
    expect(graph.nodes).toHaveLength(2);
  });

  it('gives constants that look alike names of their own', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', [1, 2]);
    const [one, square] = [[1], [1, 1]].map((shape) => graph.constant('float32', shape, [1]));
    const pair = graph.constant('float32', [2], [1, 1]);
    expect(new Set([one, square, pair].map(({ name }) => name)).size).toBe(3);
    graph.output('y', add(add(add(x, one), square), pair));
    expect((await run(graph, [f32([1, 2], [1, 2])])).y).toEqual([4, 5]);
  });

  it('names the node and the shapes that do not fit', () => {
    const graph = new Graph();
    const [a, b] = [graph.input('a', 'float32', [2, 3]), graph.input('b', 'float32', [2, 3])];
    expect(() => graph.scope('layers.3', () => gemm(a, b))).toThrow(
      '/layers.3/Gemm on [2, 3] [2, 3]: inner sizes 3 and 2',
    );
  });

  it('is readable as text and leaves unneeded nodes out', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['batch', 2]);
    graph.output(
      'y',
      graph.scope('head', () => add(x, x)),
    );
    mul(x, x);
    expect(dump(graph)).toBe(
      'input x : float32[batch, 2]\n/head/Add = Add(x, x) : float32[batch, 2]\noutput y = /head/Add : float32[batch, 2]\n',
    );
  });

  it('tells two named sizes apart when a merged axis is divided again', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['batch', 'length', 2]);
    const flat = scale(reshape(x, ['batch*length', 2]), 2);
    graph.output('y', transpose(reshape(flat, ['batch', 'length', 2]), [1, 0, 2]));
    const values = Array.from({ length: 12 }, (_, index) => index);
    const { y } = await run(graph, [f32([2, 3, 2], values)]);
    expect(y).toEqual([0, 2, 12, 14, 4, 6, 16, 18, 8, 10, 20, 22]);
  });

  it('reads named inputs from a file beside the model', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tributary-onnx-'));
    const graph = new Graph();
    const x = graph.input('x', 'float32', [1, 2]);
    const weight = graph.input('weight', 'float32', [2, 2]);
    graph.output('y', gemm(x, weight));
    const file = Buffer.alloc(4096 + 16);
    Buffer.from(new Float32Array([1, 2, 3, 4]).buffer).copy(file, 4096);
    writeFileSync(join(folder, 'weights.bin'), file);
    const ranges = new Map([['weight', { offset: 4096, length: 16 }]]);
    writeFileSync(join(folder, 'model.onnx'), toOnnx(graph, { location: 'weights.bin', ranges }).bytes);
    const session = await InferenceSession.create(join(folder, 'model.onnx'));
    const { y } = await session.run({ x: toTensor(f32([1, 2], [10, 1])) });
    expect(Array.from(y.data as Float32Array)).toEqual([13, 24]);
    await session.release();
  });
});
