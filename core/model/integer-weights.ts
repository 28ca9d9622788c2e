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
 * W [out, in] as the two right factors of x·Wᵀ and dy·W: `forward` [in, out], along whose first axis the blocks are
 * rotated as x is, and `backward` [out, in].
 * @param signed whether the codes have a sign, which decides the speed of the products and not one bit of their results
 */
export function integerWeights(
  weights: Float32Array,
  [out, into]: readonly [number, number],
  signed: boolean,
): { forward: IntegerMatrix; backward: IntegerMatrix } {
  const zero = signed ? 0 : UNSIGNED_ZERO;
  const backward = columnCodes(weights, out, zero);
  const rotated = weights.slice();
  rotateBlocks(rotated, rotationBlock(into));
  const transposed = new Float32Array(rotated.length);
  for (let row = 0; row < out; row++) {
    for (let column = 0; column < into; column++) {
      transposed[column * out + row] = rotated[row * into + column];
    }
  }
  return { forward: columnCodes(transposed, into, zero), backward };
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
