/** @file Dropout on the inputs of an adapter's branches, from random numbers that are fed for rows and columns. */

import { floor, gemm, less, reshape, scalarLike, slice, sub, where } from '../../graph/build.ts';
import { product } from '../../graph/dimension.ts';
import type { Graph, Value } from '../../graph/graph.ts';
import type { Linear } from '../../model/lora.ts';

/** Random integers below this; a power of two, so that every product and sum below is exact in float32. */
export const MODULUS = 2048;

/** Random integers a row and a column: any so many places of one column are dropped independently. */
export const WORDS = 4;

/** The rate as it acts: a multiple of 1 / {@link MODULUS}. */
export function actingRate(rate: number): number {
  return Math.round(rate * MODULUS) / MODULUS;
}

/**
 * What each module's branch sees of its input x [tokens, in]: place (t, j) is zero where
 *
 *   frac(Σₖ u[t][k] · v[j][k]) < rate,   u multiples of 1/2048 below 1, v whole numbers below 2048,
 *
 * a polynomial hash whose every step is exact in float32, so that devices and numbers of threads agree on it, and
 * which has kernels on all of them, unlike integer arithmetic. The inputs `dropout/rows` [batch, length, words] hold
 * u, which is new in every step, `dropout/columns` [Σ in, words] hold v, module after module. What is kept is not
 * made larger here: the branch's scale takes the factor 1 / (1 − rate) in.
 */
export function dropoutOf(
  graph: Graph,
  modules: readonly Linear[],
  rate: number,
): (module: string) => (x: Value) => Value {
  const total = modules.reduce((sum, { shape }) => sum + shape[1], 0);
  const rows = graph.input('dropout/rows', 'float32', ['batch', 'length', WORDS]);
  const columns = graph.input('dropout/columns', 'float32', [total, WORDS]);
  const starts = new Map<string, number>();
  let start = 0;
  for (const { module, shape } of modules) {
    starts.set(module, start);
    start += shape[1];
  }
  return (module) => (x) =>
    graph.scope('dropout', () => {
      const from = starts.get(module);
      if (from === undefined) throw new Error(`${module} has no columns of random numbers`);
      const own = slice(columns, 0, { start: from, end: from + Number(x.shape[1]) });
      const flat = reshape(rows, [product(['batch', 'length']), WORDS]);
      const mixed = gemm(flat, own, { transB: true });
      const dropped = less(sub(mixed, floor(mixed)), scalarLike(mixed, actingRate(rate)));
      return where(dropped, scalarLike(x, 0), x);
    });
}
