/** @file Whether this processor multiplies codes without sign by codes with sign exactly, which it then does fastest. */

import { integerProduct } from '../graph/build.ts';
import { Graph, type DataType } from '../graph/graph.ts';
import { elementCount } from '../model/tensor.ts';
import { openGraph } from './graph-session.ts';

const [ROWS, INTO, OUT] = [16, 64, 32];
const LARGEST = 127;
/** What a row of the largest codes times a column of the largest codes is. */
const EXACT = INTO * LARGEST * LARGEST;
/** Share by which the product may be off in float32. A sum that overflows is off by far more. */
const ROUNDING = 1e-6;

let answer: Promise<boolean> | null = null;

/**
 * Multiplies the largest codes there are. Processors with AVX2 or AVX-512 but without VNNI add pairs of such products
 * in sixteen bits, where they overflow silently; with VNNI, or on ARM, the sum is exact, and on VNNI it takes two fifths
 * of the time that codes without sign take.
 */
export function multipliesSigned(): Promise<boolean> {
  return (answer ??= tryProduct().catch((error: unknown) => {
    answer = null;
    throw error;
  }));
}

async function tryProduct(): Promise<boolean> {
  const graph = new Graph();
  const matrix = (dataType: DataType, shape: readonly number[], element: number) =>
    graph.constant(dataType, shape, Array<number>(elementCount(shape)).fill(element));
  const y = integerProduct(matrix('float32', [ROWS, INTO], LARGEST), {
    codes: matrix('uint8', [ROWS, INTO], 255),
    largest: matrix('float32', [ROWS, 1], LARGEST),
    factor: {
      values: matrix('int8', [INTO, OUT], LARGEST),
      columns: matrix('float32', [OUT], 1),
      backValues: matrix('int8', [OUT, INTO], LARGEST),
      backColumns: matrix('float32', [INTO], 1),
    },
  });
  graph.output('y', y);
  const session = await openGraph(graph, null, { device: 'cpu', threads: 1 });
  try {
    const result = await session.run({});
    return (result.y.data as Float32Array).every((value) => Math.abs(value / EXACT - 1) < ROUNDING);
  } finally {
    await session.release();
  }
}
