/**
 * @file Label skew: of every label's rows the sites get shares drawn from a Dirichlet distribution (Hsu, Qi and
 * Brown, 2019, arXiv 1909.06335). With alpha 0.3 most sites know two or three labels well; with 100 all are alike.
 */

import { Random } from '../../random.ts';
import { apportion, dirichlet, fillUp, requireRows } from './partition.ts';
import type { Partition } from './partition.ts';

/** @param labels of each row, also the number of a cluster @throws TributaryError `simulation.too-few-rows` */
export function partitionByLabel(
  labels: readonly string[],
  { sites, alpha, seed }: { sites: number; alpha: number; seed: number },
): Partition {
  requireRows(labels.length, sites);
  const parts: number[][] = Array.from({ length: sites }, () => []);
  for (const label of [...new Set(labels)].sort()) {
    const random = new Random('partition', 'dirichlet', seed, label);
    const members = labels.flatMap((own, row) => (own === label ? [row] : []));
    const order = random.permutation(members.length);
    const counts = apportion(members.length, dirichlet(random, sites, alpha));
    let at = 0;
    for (const [site, count] of counts.entries()) {
      parts[site].push(...order.slice(at, (at += count)).map((place) => members[place]));
    }
  }
  return fillUp(parts);
}
