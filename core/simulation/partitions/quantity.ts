/** @file Quantity skew: the same kind of rows everywhere, but many more at some sites than at others. */

import { Random } from '../../random.ts';
import { apportion, dirichlet, fillUp, requireRows } from './partition.ts';
import type { Partition } from './partition.ts';

/** Sizes in proportions drawn from a Dirichlet distribution. @throws TributaryError `simulation.too-few-rows` */
export function partitionByQuantity(
  rows: number,
  { sites, alpha, seed }: { sites: number; alpha: number; seed: number },
): Partition {
  requireRows(rows, sites);
  const random = new Random('partition', 'quantity', seed);
  const order = random.permutation(rows);
  let at = 0;
  return fillUp(
    apportion(rows, dirichlet(random, sites, alpha)).map((count) => order.slice(at, (at += count))),
  );
}
