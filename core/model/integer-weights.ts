/** @file A frozen matrix in eight bits, once for each direction in which a training step multiplies by it. */

import { rotateBlocks, rotationBlock } from './rotation.ts';

/** Codes of a matrix and the scale of each of its columns. */
export interface IntegerMatrix {
  /** Row-major bytes: with sign, or without and 128 for zero. */
  readonly values: Uint8Array;
  /** One a column: element = scale · code, or scale · (code − 128). */
  readonly columns: Float32Array;
}

const LARGEST = 127;
/** The code of zero where codes have no sign. */
const UNSIGNED_ZERO = 128;

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
 * @param signed whether the codes have a sign, which decides the speed of the products and not one bit of their results
 */
export function integerWeights(
  weights: Float32Array,
  [out, into]: readonly [number, number],
  signed: boolean,
): { forward: IntegerMatrix; backward: IntegerMatrix } {
  const zero = signed ? 0 : UNSIGNED_ZERO;
  return {
    forward: rotatedCodes(weights, [out, into], zero),
    backward: rotatesGradient([out, into])
      ? rotatedCodes(transposed(weights, [out, into]), [into, out], zero)
      : columnCodes(weights, out, zero),
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
  signed: boolean,
): { forward: IntegerMatrix; backward: IntegerMatrix } {
  const zero = signed ? 0 : UNSIGNED_ZERO;
  const forward = rotatedCodes(weights, [classes, size], zero);
  const means = new Float64Array(size);
  for (let at = 0, column = 0; at < weights.length; at++) {
    means[column] += weights[at] / classes;
    if (++column === size) column = 0;
  }
  for (let at = 0, column = 0; at < weights.length; at++) {
    weights[at] -= means[column];
    if (++column === size) column = 0;
  }
  return { forward, backward: columnCodes(weights, classes, zero) };
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

/** Codes [columns, rows] of a matrix [rows, columns] whose rows are rotated; the largest of each becomes ±127. */
function rotatedCodes(
  matrix: Float32Array,
  [rows, columns]: readonly [number, number],
  zero: number,
): IntegerMatrix {
  const values = new Uint8Array(matrix.length);
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
      scales[start + row] = largest / LARGEST || 1;
    }
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < count; row++) {
        values[column * rows + start + row] =
          Math.round(strip[row * columns + column] / scales[start + row]) + zero; // a negative one becomes its two's complement
      }
    }
  }
  return { values, columns: scales };
}

/** Codes of a matrix with `rows` rows; the largest of each column becomes ±127. */
function columnCodes(matrix: Float32Array, rows: number, zero: number): IntegerMatrix {
  const count = matrix.length / rows;
  const columns = new Float32Array(count);
  for (let at = 0, column = 0; at < matrix.length; at++) {
    const size = Math.abs(matrix[at]);
    if (size > columns[column]) columns[column] = size;
    if (++column === count) column = 0;
  }
  for (let column = 0; column < count; column++) columns[column] = columns[column] / LARGEST || 1;
  const values = new Uint8Array(matrix.length);
  for (let at = 0, column = 0; at < matrix.length; at++) {
    values[at] = Math.round(matrix[at] / columns[column]) + zero; // a negative one becomes its two's complement
    if (++column === count) column = 0;
  }
  return { values, columns };
}
