/** @file The product of two matrices of eight-bit codes, as operators emit it. */

import type { EmittedNode, Emitter } from './rule.ts';

/** The code of zero among codes without sign of which the largest is worth `limit` and the smallest −`limit`. */
export function zeroCode(limit: number): number {
  return limit + 1;
}

/** y[i, j] = step · columns[j] · Σ (codes[i, k] − zero) · values[k, j], the codes of `values` having a sign. */
export function codesProduct(
  emitter: Emitter,
  {
    codes,
    zero,
    step,
    values,
    columns,
  }: {
    readonly codes: string;
    readonly zero: number;
    readonly step: number;
    readonly values: string;
    readonly columns: string;
  },
): Pick<EmittedNode, 'type' | 'domain' | 'inputs'> {
  const scales = [emitter.constant('float32', [], [step]), columns];
  const zeros = [emitter.constant('uint8', [], [zero]), emitter.constant('int8', [], [0])];
  return {
    type: 'MatMulIntegerToFloat',
    domain: 'com.microsoft',
    inputs: [codes, values, ...scales, ...zeros],
  };
}
