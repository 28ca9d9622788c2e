/** @file The product of two matrices of eight-bit codes, as operators emit it. */

import type { DataType } from '../graph.ts';
import type { EmittedNode, Emitter } from './rule.ts';

/** Largest absolute value of a code with sign. */
export const LARGEST = 127;
/** The code of zero where codes have no sign; where they have one it is 0. */
export const ZERO = 128;

/**
 * y[i, j] = step · columns[j] · Σ (codes[i, k] − zero) · values[k, j], the codes of `values` having a sign or 128 for
 * zero. Sums are of 32 bits.
 */
export function codesProduct(
  emitter: Emitter,
  {
    codes,
    zero,
    step,
    values,
    columns,
    dataType,
  }: {
    readonly codes: string;
    readonly zero: number;
    readonly step: number;
    readonly values: string;
    readonly columns: string;
    /** Of `values`. */
    readonly dataType: DataType;
  },
): Pick<EmittedNode, 'type' | 'domain' | 'inputs'> {
  const valuesZero =
    dataType === 'int8' ? emitter.constant('int8', [], [0]) : emitter.constant('uint8', [], [ZERO]);
  const scales = [emitter.constant('float32', [], [step]), columns];
  return {
    type: 'MatMulIntegerToFloat',
    domain: 'com.microsoft',
    inputs: [codes, values, ...scales, emitter.constant('uint8', [], [zero]), valuesZero],
  };
}
