/** @file Which codes this processor multiplies without loss. */

import { integerProduct } from '../graph/build.ts';
import { Graph, type DataType } from '../graph/graph.ts';
import { CODE_LIMITS, type CodedPacking } from '../model/integer-weights.ts';
import { elementCount } from '../model/tensor.ts';
import { openGraph } from './graph-session.ts';

const [ROWS, INTO, OUT] = [16, 64, 32];
const { rows: limit, matrix: largest } = CODE_LIMITS.codes;
/** What a row of the largest codes times a column of the largest codes is. */
const EXACT = INTO * limit * largest;
/** Share by which the product may be off in float32. A sum that is cut off at sixteen bits is off by far more. */
const ROUNDING = 1e-6;

let answer: Promise<CodedPacking> | null = null;

/**
 * Multiplies the largest codes there are. Processors with AVX2 or AVX-512 but without VNNI add pairs of such products
 * in sixteen bits and cut off silently what is beyond; with VNNI, or on ARM, the sum is exact.
 */
export function codePacking(): Promise<CodedPacking> {
  return (answer ??= tryProduct().catch((error: unknown) => {
    answer = null;
    throw error;
  }));
}

async function tryProduct(): Promise<CodedPacking> {
  const graph = new Graph();
  const matrix = (dataType: DataType, shape: readonly number[], element: number) =>
    graph.constant(dataType, shape, Array<number>(elementCount(shape)).fill(element));
  const y = integerProduct(matrix('float32', [ROWS, INTO], limit), {
    codes: matrix('uint8', [ROWS, INTO], 2 * limit + 1),
    largest: matrix('float32', [ROWS, 1], limit),
    limit,
    factor: {
      values: matrix('int8', [INTO, OUT], largest),
      columns: matrix('float32', [OUT], 1),
      backValues: matrix('int8', [OUT, INTO], largest),
      backColumns: matrix('float32', [INTO], 1),
    },
  });
  graph.output('y', y);
  const session = await openGraph(graph, null, { device: 'cpu', threads: 1 });
  try {
    const result = await session.run({});
    const isExact = (value: number) => Math.abs(value / EXACT - 1) < ROUNDING;
    return (result.y.data as Float32Array).every(isExact) ? 'codes' : 'narrow-codes';
  } finally {
    await session.release();
  }
}
