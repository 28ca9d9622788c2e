import { describe, expect, it } from 'vitest';

import * as b from '../../core/graph/build.ts';
import { gradients } from '../../core/graph/gradient.ts';
import { Graph, type Value } from '../../core/graph/graph.ts';
import { operators } from '../../core/graph/operators/table.ts';
import { f32, f64, gradientError, i64, operand, run, type Operand } from './evaluate.ts';

const awkward = f64([2, 3], [-5, -2, -0.5, 0, 2, 5]);
const positive = f64([2, 3], [0.1, 0.5, 1, 2, 5, 9]);
const other = f64([2, 3], [1, -1, 0.25, 3, -2, 0.5]);
const row = f64([3], [0.5, -1.5, 2]);
const column = f64([2, 1], [-1, 2]);
const tall = f64([3, 2], [1, -2, 0, 0.5, -3, 4]);
const wide = f64([2, 4], [1, -2, 0, 0.5, -3, 4, 2, -1]);
const cube = f64([2, 2, 3], [1, -2, 0, 0.5, -3, 4, 2, -1, 0.1, 7, -4, 1]);
const ties = f64([2, 3], [1, 1, 0, -2, -2, -2]);
const angles = [0.1, 1.2, -0.7, 3, 0, 2.2];
const cosTable = f32([3, 2], angles.map(Math.cos));
const sinTable = f32([3, 2], angles.map(Math.sin));
const heads = f32(
  [1, 2, 2, 4],
  Array.from({ length: 16 }, (_, index) => Math.sin(3 * index)),
);

const wave = (shape: number[], step: number): Operand =>
  f64(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => Math.sin(step * (index + 1))),
  );

type Case = [name: string, build: (inputs: Value[]) => Value, operands: Operand[], parameters?: number[]];

const cases: Case[] = [
  ['Neg', ([x]) => b.neg(x), [awkward]],
  ['Exp', ([x]) => b.exp(x), [awkward]],
  ['Log', ([x]) => b.log(x), [positive]],
  ['Sqrt', ([x]) => b.sqrt(x), [positive]],
  ['Reciprocal', ([x]) => b.reciprocal(x), [positive]],
  ['Sigmoid', ([x]) => b.sigmoid(x), [awkward]],
  ['Softplus', ([x]) => b.softplus(x), [f64([2, 3], [-30, -2, -0.5, 0.25, 3, 40])]],
  ['Add', ([x, y]) => b.add(x, y), [awkward, other]],
  ['Add of a row', ([x, y]) => b.add(x, y), [awkward, row]],
  ['Add of a column', ([x, y]) => b.add(y, x), [awkward, column]],
  ['Add of a value to itself', ([x]) => b.add(x, x), [awkward]],
  ['Sub of a row', ([x, y]) => b.sub(x, y), [awkward, row]],
  ['Mul of a column', ([x, y]) => b.mul(x, y), [awkward, column]],
  ['Mul of a value by itself', ([x]) => b.mul(x, x), [awkward]],
  ['Div', ([x, y]) => b.div(x, y), [awkward, positive]],
  ['Div by a row', ([x, y]) => b.div(x, y), [awkward, row]],
  ['Where', ([x, y]) => b.where(b.less(x, y), b.mul(x, x), y), [awkward, other]],
  ['Cast between floats', ([x]) => b.mul(b.cast(b.cast(x, 'float32'), 'float64'), x), [f64([2], [0.5, -2])]],
  ['MatMul', ([x, y]) => b.matMul(x, y), [awkward, tall]],
  ['MatMul of a batch with one matrix', ([x, y]) => b.matMul(x, y), [cube, tall]],
  ['MatMul of two batches', ([x, y]) => b.matMul(x, b.swapLastAxes(y)), [cube, cube]],
  ['Gemm', ([x, y]) => b.gemm(x, y), [awkward, tall]],
  ['Gemm with A transposed', ([x, y]) => b.gemm(x, y, { transA: true, alpha: 0.5 }), [awkward, wide]],
  ['Gemm with B transposed', ([x, y]) => b.gemm(x, y, { transB: true, alpha: -2 }), [awkward, other]],
  ['Gemm with both transposed', ([x, y]) => b.gemm(x, y, { transA: true, transB: true }), [awkward, tall]],
  [
    'Gemm with a summand',
    ([x, y, z]) => b.gemm(x, y, { alpha: 3, plus: z }),
    [awkward, tall, f64([2, 2], [1, -1, 2, 0])],
  ],
  ['Gemm of a value used twice', ([x, y]) => b.add(b.gemm(x, y), b.gemm(b.mul(x, x), y)), [awkward, tall]],
  ['Transpose', ([x]) => b.mul(b.transpose(x, [2, 0, 1]), b.transpose(x, [2, 0, 1])), [cube]],
  ['Reshape', ([x, y]) => b.matMul(b.reshape(x, [4, 3]), y), [cube, tall]],
  ['Concat', ([x, y]) => b.mul(b.concat([x, y, x], 0), b.concat([y, x, x], 0)), [awkward, other]],
  [
    'Slice',
    ([x]) => b.mul(b.slice(x, 1, { start: 1, end: 3 }), b.slice(x, -1, { start: 0, end: 2 })),
    [awkward],
  ],
  ['ExpandLike', ([x, y]) => b.mul(b.expandLike(x, y), y), [column, awkward]],
  ['ZerosLike', ([x]) => b.add(b.mul(x, x), b.zerosLike(x)), [awkward], [0]],
  ['After', ([x, y]) => b.exp(b.after(x, y)), [awkward, column], [0]],
  [
    'Gather with a repeated row',
    ([x, i]) => b.mul(b.gather(x, i), b.gather(x, i)),
    [tall, i64([4], [2, 0, 2, 2])],
  ],
  ['Gather with a matrix of indices', ([x, i]) => b.exp(b.gather(x, i)), [tall, i64([2, 2], [1, 0, 1, 2])]],
  [
    'ScatterAdd with a repeated row',
    ([x, i, u]) => b.exp(b.scatterAdd(x, i, u)),
    [tall, i64([3], [1, 1, 0]), f64([3, 2], [1, 0.5, -1, 2, 0, 0.1])],
  ],
  ['Pick', ([x, i]) => b.exp(b.pick(x, i)), [awkward, i64([2, 1], [2, 0])]],
  ['PickAdd', ([x, i, u]) => b.exp(b.pickAdd(x, i, u)), [awkward, i64([2, 1], [1, 1]), column]],
  ['ReduceSum of two axes', ([x]) => b.exp(b.reduceSum(x, [0, 2])), [cube]],
  ['ReduceMean', ([x]) => b.exp(b.reduceMean(x, [-1])), [cube]],
  ['ReduceMax', ([x]) => b.exp(b.reduceMax(x, [1])), [awkward]],
  ['Softmax', ([x]) => b.softmax(x), [awkward]],
  ['Softmax of equal values', ([x]) => b.softmax(x), [ties]],
  ['CrossEntropy', ([x, i]) => b.crossEntropy(x, i), [awkward, i64([2, 1], [0, 2])]],
  [
    'CrossEntropy far from the label',
    ([x, i]) => b.crossEntropy(x, i),
    [f64([1, 3], [60, -60, 0]), i64([1, 1], [1])],
  ],
  ...[2, 3].map((rows): Case => [
    `CausalAttention of three tokens in blocks of ${rows}`,
    ([query, keys, values, mask]) => b.causalAttention(query, { keys, values, mask, rows }),
    [
      wave([2, 2, 2, 3, 2], 0.7),
      wave([2, 2, 3, 2], 1.3),
      wave([2, 2, 3, 2], 2.1),
      f64([2, 1, 1, 3, 3], [0, 0, 0, -2, 0, 0, 0.5, -30, 0, 0, 9, 9, 0, 0, 9, -1, 0, 0]),
    ],
    [0, 1, 2],
  ]),
  [
    'VocabularyLoss in two parts',
    ([x, weight, labels]) =>
      b.vocabularyLoss(x, { matrix: { weight }, labels, rows: 2, classes: 1, differentiable: true }),
    [tall, f64([4, 2], [1, -2, 0.5, 3, -1, 0.25, 2, 2]), i64([3, 1], [3, 0, 2])],
    [0],
  ],
  ['SwiGlu', ([x, y]) => b.swiGlu(x, y), [awkward, other]],
  ['RmsNorm', ([x, g]) => b.rmsNorm(x, g, 1e-5), [awkward, row]],
  ['RmsNorm of a row of zeros', ([x, g]) => b.rmsNorm(x, g, 0.5), [f64([2, 3], [0, 0, 0, 1, -2, 3]), row]],
  [
    'RotaryEmbedding',
    ([x, positions, cos, sin]) => {
      const rotated = b.rotaryEmbedding(x, { positions, cos, sin });
      return b.mul(rotated, rotated.graph.constant('float32', [4], [1, -2, 0.5, 3]));
    },
    [heads, i64([1, 2], [2, 1]), cosTable, sinTable],
    [0],
  ],
];

describe('gradient rules against central differences', () => {
  it.each(cases)('%s', async (_name, build, operands, parameters) => {
    const single = operands.some(({ type }) => type === 'float32') || String(build).includes('float32');
    expect(await gradientError(build, operands, { parameters, ...(single && { step: 1e-2 }) })).toBeLessThan(
      single ? 2e-3 : 1e-7,
    );
  });

  it('has a case for every operator that has a gradient', () => {
    const covered = cases.map(([name]) => name.split(' ')[0]);
    // Rounding has no slope: what a product of codes and float16 give backward is tested beside them.
    const rounding = ['IntegerProduct', 'IntegerVocabularyLoss', 'ToHalf', 'FromHalf'];
    const differentiable = Object.entries(operators).filter(
      ([name, rule]) => rule.gradient !== null && !rounding.includes(name),
    );
    expect(differentiable.map(([name]) => name).filter((name) => !covered.includes(name))).toEqual([]);
  });
});

describe('ties and dead ends', () => {
  it('shares the gradient among equal maxima', async () => {
    // Central differences see half of a one-sided slope at a tie of two, a third part is not visible to them.
    expect(await gradientError(([x]) => b.reduceMax(x, [1]), [f64([1, 3], [1, 1, 0])])).toBeLessThan(1e-7);
  });

  it('names a parameter that the loss does not depend on', () => {
    const graph = new Graph();
    const [x, y] = [graph.input('x', 'float32', [1]), graph.input('y', 'float32', [1])];
    expect(() => gradients(b.exp(x), [y])).toThrow('y');
  });

  it('refuses to differentiate through an operator without gradient', () => {
    const graph = new Graph();
    const values = graph.input('values', 'int8', [1, 32]);
    const factors = graph.input('scale', 'float32', [1, 1]);
    const loss = b.reduceSum(b.dequantizeLinear(values, factors, 32), [0, 1]);
    expect(() => gradients(loss, [factors])).toThrow('DequantizeLinear has no gradient');
  });

  it('adds no gradient nodes for frozen inputs', () => {
    const graph = new Graph();
    const [x, w] = [graph.input('x', 'float32', [2, 3]), graph.input('w', 'float32', [3, 2])];
    const loss = b.reduceSum(b.gemm(x, w), [0, 1]);
    gradients(loss, [w]);
    expect(graph.nodes.filter((node) => node.operator === 'Gemm')).toHaveLength(2);
  });
});

it('attention in blocks gives what attention at once gives where the mask hides what comes later', async () => {
  const [batch, groups, repeats, length, size] = [2, 2, 3, 5, 4];
  const operands = [
    wave([batch, groups, repeats, length, size], 0.7),
    wave([batch, groups, length, size], 1.3),
    wave([batch, groups, length, size], 2.1),
    f64(
      [batch, 1, 1, length, length],
      Array.from({ length: batch * length * length }, (_, at) => {
        const [key, query] = [at % length, Math.floor(at / length) % length];
        return key > query ? -1e30 : Math.sin(at);
      }),
    ),
  ];
  const graph = new Graph();
  const [query, keys, values, mask] = operands.map(({ type, shape }, at) =>
    graph.input(`input_${at}`, type, shape),
  );
  const together = [batch, groups, repeats * length];
  const scores = b.matMul(b.reshape(query, [...together, size]), b.swapLastAxes(keys));
  const masked = b.add(b.reshape(scores, [batch, groups, repeats, length, length]), mask);
  const mixed = b.matMul(b.reshape(b.softmax(masked), [...together, length]), values);
  graph.output('once', b.reshape(mixed, query.shape));
  for (const rows of [1, 2, 5, 8]) {
    graph.output(`blocks of ${rows}`, b.causalAttention(query, { keys, values, mask, rows }));
  }
  const { once, ...inBlocks } = await run(graph, operands);
  for (const found of Object.values(inBlocks)) {
    found.forEach((value, at) => expect(value).toBeCloseTo(once[at], 12));
  }
});

it('a loss over a packed vocabulary, a part of it at a time, is that over the unpacked one', async () => {
  const [rows, classes, size, block] = [3, 5, 8, 4];
  const codes = Array.from({ length: classes * size }, (_, at) => ((37 * at) % 255) - 127);
  const scales = Array.from({ length: (classes * size) / block }, (_, at) => (1 + Math.sin(at) ** 2) / 100);
  const operands = [
    f32([rows, size], wave([rows, size], 1.3).values),
    operand('int8')([classes, size], codes),
    f32([classes, size / block], scales),
    f32(
      [classes, size],
      codes.map((code, at) => code * scales[Math.floor(at / block)]),
    ),
    i64([rows, 1], [4, 0, 2]),
  ];
  const graph = new Graph();
  const [hidden, packed, scale, weight, labels] = operands.map(({ type, shape }, at) =>
    graph.input(`input_${at}`, type, shape),
  );
  const losses = {
    whole: b.crossEntropy(b.gemm(hidden, weight, { transB: true }), labels),
    parts: b.vocabularyLoss(hidden, {
      matrix: { weight: packed, scale },
      labels,
      rows: 2,
      classes: 2,
      differentiable: true,
    }),
  };
  for (const [name, loss] of Object.entries(losses)) {
    graph.output(name, loss);
    graph.output(`d ${name}`, gradients(b.reduceSum(loss, [0, 1]), [hidden])[0]);
  }
  const results = await run(graph, operands);
  for (const name of ['', 'd ']) {
    results[`${name}whole`].forEach((value, at) => expect(results[`${name}parts`][at]).toBeCloseTo(value, 5));
  }
});
