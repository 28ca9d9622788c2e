import { describe, expect, it } from 'vitest';

import * as b from '../../core/graph/build.ts';
import { gradients } from '../../core/graph/gradient.ts';
import { Graph } from '../../core/graph/graph.ts';
import { FrozenWeights } from '../../core/model/frozen-weights.ts';
import { codePacking } from '../../core/engine/code-packing.ts';
import { CODE_LIMITS, headCodes, integerWeights } from '../../core/model/integer-weights.ts';
import { rotateBlocks, rotationBlock, rotationMatrix } from '../../core/model/rotation.ts';
import { Random } from '../../core/random.ts';
import { f32, i64, operand, run } from './evaluate.ts';

const rows = 7;
const numbers = (count: number, seed: number) =>
  Array.from({ length: count }, (_, index) => Math.sin(seed + 1.7 * index) + Math.cos(seed * index));
const LARGE = 5;
/** Rows as decoders have them: one channel far larger than the others. */
const uneven = (channels: number, seed: number) =>
  numbers(rows * channels, seed).map((value, at) => (at % channels === LARGE ? 20 * value : value));

function product(
  a: readonly number[],
  c: ArrayLike<number>,
  [n, k, m]: readonly number[],
  transposed: boolean,
) {
  return Array.from({ length: n * m }, (_, at) => {
    const [row, column] = [Math.floor(at / m), at % m];
    let sum = 0;
    for (let inner = 0; inner < k; inner++) {
      sum += a[row * k + inner] * c[transposed ? column * k + inner : inner * m + column];
    }
    return sum;
  });
}

function relativeError(found: readonly number[], expected: readonly number[]): number {
  const norm = (values: readonly number[]) => Math.hypot(...values);
  return norm(found.map((value, at) => value - expected[at])) / norm(expected);
}

/** Codes of all eight bits only where this processor sums their products exactly. */
const sumsExactly = (await codePacking()) === 'codes';
const kinds = sumsExactly ? (['codes', 'narrow-codes'] as const) : (['narrow-codes'] as const);

const code = operand('int8');

/** Rounding to 1/127 of the largest puts some 0.7 % of noise on each factor, to 1/90 1 %, and what is large some more on small results. */
describe.each(kinds)('a product in eight bits, %s', (packing) => {
  const limit = CODE_LIMITS[packing].matrix;

  it.each([
    { into: 128, out: 64, dy: uneven(64, 3) },
    { into: 64, out: 128, dy: numbers(rows * 128, 3) },
  ])(
    'from $into to $out and its gradient are those of float32 to the rounding',
    async ({ into, out, dy }) => {
      const x = uneven(into, 1);
      // What is large counts for nothing, so that all of the result is made of the small channels.
      const weights = Float32Array.from(numbers(into * out, 2), (value, at) =>
        at % into === LARGE || Math.floor(at / into) === LARGE ? 0 : value,
      );
      const graph = new Graph();
      const input = graph.input('x', 'float32', ['rows', into]);
      const y = new FrozenWeights(graph, () => packing).product(input, 'w', [out, into]);
      const upstream = graph.input('dy', 'float32', ['rows', out]);
      graph.output('y', y);
      const [dx] = gradients(b.reduceSum(b.mul(y, upstream), [0, 1]), [input]);
      graph.output('dx', dx);
      const { forward, backward } = integerWeights(weights, [out, into], limit);
      const operands: Record<string, ReturnType<typeof f32>> = {
        x: f32([rows, into], x),
        dy: f32([rows, out], dy),
        'w.forward': code([into, out], [...forward.values]),
        'w.forward-columns': f32([out], [...forward.columns]),
        'w.backward': code([out, into], [...backward.values]),
        'w.backward-columns': f32([into], [...backward.columns]),
      };
      const results = await run(
        graph,
        graph.inputs.map(({ name }) => operands[name]),
      );
      expect(relativeError(results.y, product(x, weights, [rows, into, out], true))).toBeLessThan(0.07);
      expect(relativeError(results.dx, product(dy, weights, [rows, out, into], false))).toBeLessThan(0.07);
    },
  );
});

/** One class has nine tenths of the probability, twenty thousand others share the rest: less than a step of the codes each. */
describe.each(kinds)('the loss over a vocabulary in eight bits, %s', (packing) => {
  const [size, classes, likely] = [32, 20_000, 1234];
  const direction = numbers(size, 6);
  const boost = (Math.log(classes) + Math.log(9)) / Math.hypot(...direction) ** 2;
  // The rows of an embedding have much in common: here most of each.
  const weight = Float32Array.from(numbers(classes * size, 5), (value, at) => {
    const channel = at % size;
    const common = 1 + Math.sin(channel);
    return common + 0.05 * value + (Math.floor(at / size) === likely ? boost * direction[channel] : 0);
  });
  const hidden = Array.from({ length: rows }, (_, row) => direction.map((x) => x * (1 + row / 50))).flat();
  const labels = Array.from({ length: rows }, (_, row) => (row === 3 ? 77 : likely));

  it('and its gradient are those of float32 to the rounding', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['rows', size]);
    const chosen = graph.input('labels', 'int64', ['rows', 1]);
    const full = graph.input('weight', 'float32', [classes, size]);
    const coded = new FrozenWeights(graph, () => packing).coded(x, 'w', { shape: [classes, size], packing });
    const exact = b.crossEntropy(b.gemm(x, full, { transB: true }), chosen);
    const rounded = b.integerVocabularyLoss(x, { coded, labels: chosen, rows: 3, differentiable: true });
    for (const [name, loss] of Object.entries({ exact, rounded })) {
      graph.output(name, loss);
      graph.output(`d ${name}`, gradients(b.reduceSum(loss, [0, 1]), [x])[0]);
    }
    const { forward, backward } = headCodes(weight.slice(), [classes, size], CODE_LIMITS[packing].matrix);
    const operands: Record<string, ReturnType<typeof f32>> = {
      x: f32([rows, size], hidden),
      labels: i64([rows, 1], labels),
      weight: f32([classes, size], [...weight]),
      'w.forward': code([size, classes], [...forward.values]),
      'w.forward-columns': f32([classes], [...forward.columns]),
      'w.backward': code([classes, size], [...backward.values]),
      'w.backward-columns': f32([size], [...backward.columns]),
    };
    const results = await run(
      graph,
      graph.inputs.map(({ name }) => operands[name]),
    );
    for (let row = 0; row < rows; row++) {
      expect(Math.abs(results.rounded[row] - results.exact[row])).toBeLessThan(0.1);
      const [found, expected] = ['d rounded', 'd exact'].map((name) =>
        [...results[name]].slice(row * size, (row + 1) * size),
      );
      expect(relativeError(found, expected)).toBeLessThan(0.15);
    }
  });
});

describe('the rotation', () => {
  it.each([1, 2, 8, 64])('of blocks of %i keeps products and is what the matrix says', (block) => {
    const vector = Float32Array.from(numbers(block, 4));
    const rotated = vector.slice();
    rotateBlocks(rotated, block);
    const expected = product([...vector], rotationMatrix(block), [1, block, block], false);
    expect(relativeError([...rotated], expected)).toBeLessThan(1e-6);
    expect(Math.hypot(...rotated)).toBeCloseTo(Math.hypot(...vector), 5);
  });

  it('takes the largest power of two that divides the channels, up to 64', () => {
    expect([576, 1536, 96, 40, 7].map(rotationBlock)).toEqual([64, 64, 32, 8, 1]);
  });
});

describe('the processor', () => {
  /** Σ (codes − zero) · values for codes [rows, inner] and values [inner, columns], by the kernel. */
  async function sums(
    { codes, values, limit }: { codes: Uint8Array; values: Int8Array; limit: number },
    [count, inner, columns]: readonly [number, number, number],
  ) {
    const graph = new Graph();
    const filled = (shape: number[], element: number) =>
      graph.constant('float32', shape, Array<number>(shape[0]).fill(element));
    const y = b.integerProduct(graph.input('x', 'float32', [count, inner]), {
      codes: graph.constant('uint8', [count, inner], [...codes]),
      largest: graph.constant('float32', [count, 1], Array<number>(count).fill(limit)),
      limit,
      factor: {
        values: graph.constant('int8', [inner, columns], [...values]),
        columns: filled([columns], 1),
        backValues: graph.constant('int8', [columns, inner], [...values]),
        backColumns: filled([inner], 1),
      },
    });
    graph.output('y', y);
    return (await run(graph, [f32([count, inner], Array<number>(count * inner).fill(0))])).y;
  }
  const [count, inner, columns] = [40, 576, 192];
  const shape = [count, inner, columns] as const;

  it('is said to sum the largest codes exactly if it does', async () => {
    const { rows: limit, matrix } = CODE_LIMITS.codes;
    const codes = new Uint8Array(count * inner).fill(2 * limit + 1);
    const results = await sums({ codes, values: new Int8Array(inner * columns).fill(-matrix), limit }, shape);
    expect(results.every((value) => Math.abs(value / (-limit * matrix * inner) - 1) < 1e-6)).toBe(
      sumsExactly,
    );
  });

  it('sums narrow codes of noise exactly', async () => {
    const { rows: limit, matrix } = CODE_LIMITS['narrow-codes'];
    const random = new Random('noise');
    /** Three and a half standard deviations are the largest code. */
    const noise = (largest: number) =>
      Math.round(Math.max(-largest, Math.min(largest, (random.normal() * largest) / 3.5)));
    const codes = Uint8Array.from({ length: count * inner }, () => noise(limit) + limit + 1);
    const values = Int8Array.from({ length: inner * columns }, () => noise(matrix));
    const results = await sums({ codes, values, limit }, shape);
    const expected = product(
      [...codes].map((value) => value - limit - 1),
      values,
      shape,
      false,
    );
    results.forEach((value, at) => expect(Math.abs(value - expected[at])).toBeLessThan(0.5));
  });
});
