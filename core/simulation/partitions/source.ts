/** @file Every source is a site: a folder with one file, or one subfolder, for each institution. */

import { TributaryError } from '../../errors.ts';
import { FEWEST_ROWS } from './partition.ts';
import type { Partition } from './partition.ts';

/**
 * @param sources of each row
 * @param sites if it is said how many there must be
 * @throws TributaryError `simulation.too-few-rows`, or `usage.invalid` where there are not as many sources as sites
 */
export function partitionBySource(
  sources: readonly string[],
  sites?: number,
): { readonly names: readonly string[]; readonly partition: Partition } {
  const names = [...new Set(sources)].sort();
  if (sites !== undefined && sites !== names.length) {
    throw new TributaryError(
      'usage.invalid',
      `The data have ${names.length} sources (${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}), not ${sites}.`,
      { hint: 'Leave out --sites, or choose another --partition.' },
    );
  }
  const partition = names.map((name) => sources.flatMap((source, row) => (source === name ? [row] : [])));
  const poor = partition.findIndex((rows) => rows.length < FEWEST_ROWS);
  if (poor >= 0) {
    throw new TributaryError(
      'simulation.too-few-rows',
      `${names[poor]} has ${partition[poor].length} rows; a site needs at least ${FEWEST_ROWS}.`,
    );
  }
  return { names, partition };
}
