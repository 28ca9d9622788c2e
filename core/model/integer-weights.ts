/** @file A frozen matrix in eight bits, once for each direction in which a training step multiplies by it. */

import { rotateBlocks, rotationBlock } from './rotation.ts';

/**
 * How matrices are coded: in all of eight bits, or in what processors take that add two products of codes at a time in
 * sixteen bits, as those with AVX2 and without VNNI do.
 */
export type CodedPacking = 'codes' | 'narrow-codes';

/**
 * The largest codes of rows and of a frozen matrix. Rows have codes without sign, up to 2 · 90 + 1, so a pair of narrow
 * ones can reach 181 · (110 + 110) and be cut off at 2¹⁵. But rotated rows and columns are like noise, three and a half
 * standard deviations of which the largest code is: in the sum of a pair 2¹⁵ is then eight. Probabilities take codes up
 * to 255, but two large ones seldom stand side by side. Codes that could never be cut off, ±64 times ±127, would round
 * far more coarsely.
 */
export const CODE_LIMITS: Readonly<Record<CodedPacking, { readonly rows: number; readonly matrix: number }>> =
  {
    codes: { rows: 127, matrix: 127 },
    'narrow-codes': { rows: 90, matrix: 110 },
  };

/** Codes of a matrix, ±127 at most, and the scale of each of its columns. */
export interface IntegerMatrix {
  /** Row-major. */
  readonly values: Int8Array;
  /** One a column: element = scale · code. */
  readonly columns: Float32Array;
}

/**
 * Whether a linear is computed in float32 where others are coded. Where these were made exact one kind after another,
 * the gradients gained most, beside what the product costs, from `k_proj` and `v_proj`, narrow as they are where heads
 * share keys, and from the first layer, on whose results all others build.
 */
export function staysExact(module: string): boolean {
  return /[kv]_proj$/.test(module) || module.startsWith('model.layers.0.');
}

/**
 * Whether the gradient of x·Wᵀ in its result is rotated too before it is coded: where that costs little beside the
 * product, as for a `down_proj`, whose gradient is that in the stream of hidden states, with a few large channels.
 */
export function rotatesGradient([out, into]: readonly [number, number]): boolean {
  return into > out;
}

/**
 * W [out, in] as the two right factors of x·Wᵀ and dy·W: `forward` [in, out], along whose first axis the blocks are
 * rotated as those of x are, and `backward` [out, in], along whose first axis they are where dy is rotated.
 * @param limit of the codes
 */
export function integerWeights(
  weights: Float32Array,
  [out, into]: readonly [number, number],
  limit: number,
): { forward: IntegerMatrix; backward: IntegerMatrix } {
  return {
    forward: rotatedCodes(weights, [out, into], limit),
    backward: rotatesGradient([out, into])
      ? rotatedCodes(transposed(weights, [out, into]), [into, out], limit)
      : columnCodes(weights, out, limit),
  };
}

/**
 * The same of a head, whose results are scores of classes: `backward` is that of W less the mean of its rows. A gradient
 * in the scores sums to zero, (p − y)·W = (p − y)·(W − mean), and what rounding takes from p then leads nowhere.
 * @param weights overwritten
 */
export function headCodes(
  weights: Float32Array,
  [classes, size]: readonly [number, number],
  limit: number,
): { forward: IntegerMatrix; backward: IntegerMatrix } {
  const forward = rotatedCodes(weights, [classes, size], limit);
  const means = new Float64Array(size);
  for (let at = 0, column = 0; at < weights.length; at++) {
    means[column] += weights[at] / classes;
    if (++column === size) column = 0;
  }
  for (let at = 0, column = 0; at < weights.length; at++) {
    weights[at] -= means[column];
    if (++column === size) column = 0;
  }
  return { forward, backward: columnCodes(weights, classes, limit) };
}

function transposed(matrix: Float32Array, [rows, columns]: readonly [number, number]): Float32Array {
  const result = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = matrix[row * columns + column];
    }
  }
  return result;
}

/** Rows whose codes are written together: so many bytes of a column lie side by side. */
const STRIP = 64;

/** Codes [columns, rows] of a matrix [rows, columns] whose rows are rotated; the largest of each becomes ±limit. */
function rotatedCodes(
  matrix: Float32Array,
  [rows, columns]: readonly [number, number],
  limit: number,
): IntegerMatrix {
  const values = new Int8Array(matrix.length);
  const scales = new Float32Array(rows);
  const strip = new Float32Array(STRIP * columns);
  for (let start = 0; start < rows; start += STRIP) {
    const count = Math.min(STRIP, rows - start);
    strip.set(matrix.subarray(start * columns, (start + count) * columns));
    rotateBlocks(strip, rotationBlock(columns));
    for (let row = 0; row < count; row++) {
      let largest = 0;
      for (let at = row * columns; at < (row + 1) * columns; at++) {
        const size = Math.abs(strip[at]);
        if (size > largest) largest = size;
      }
      scales[start + row] = largest / limit || 1;
    }
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < count; row++) {
        values[column * rows + start + row] = Math.round(strip[row * columns + column] / scales[start + row]);
      }
    }
  }
  return { values, columns: scales };
}

/** Codes of a matrix with `rows` rows; the largest of each column becomes ±limit. */
function columnCodes(matrix: Float32Array, rows: number, limit: number): IntegerMatrix {
  const count = matrix.length / rows;
  const columns = new Float32Array(count);
  for (let at = 0, column = 0; at < matrix.length; at++) {
    const size = Math.abs(matrix[at]);
    if (size > columns[column]) columns[column] = size;
    if (++column === count) column = 0;
  }
  for (let column = 0; column < count; column++) columns[column] = columns[column] / limit || 1;
  const values = new Int8Array(matrix.length);
  for (let at = 0, column = 0; at < matrix.length; at++) {
    values[at] = Math.round(matrix[at] / columns[column]);
    if (++column === count) column = 0;
  }
  return { values, columns };
}
