/** @file Rows at random, as many at every site: independent and identically distributed. */

import { Random } from '../../random.ts';
import { requireRows } from './partition.ts';
import type { Partition } from './partition.ts';

/** Sizes differ by one at most. @throws TributaryError `simulation.too-few-rows` */
export function partitionEvenly(rows: number, sites: number, seed: number): Partition {
  requireRows(rows, sites);
  const order = new Random('partition', 'iid', seed).permutation(rows);
  return Array.from({ length: sites }, (_, site) => order.filter((_row, at) => at % sites === site));
}
