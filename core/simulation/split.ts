/** @file Which rows of a site are held out, so that nobody trains on them. */

import { Random } from '../random.ts';

export interface Split<Item> {
  readonly train: readonly Item[];
  readonly heldOut: readonly Item[];
}

/**
 * Holds out a share of the rows, at least one and never all; none where the share is 0. The same seed parts choose
 * the same rows; both parts keep the order.
 */
export function holdOut<Item>(
  rows: readonly Item[],
  share: number,
  seedParts: readonly (string | number)[],
): Split<Item> {
  if (share === 0) return { train: rows, heldOut: [] };
  const count = Math.min(rows.length - 1, Math.max(1, Math.round(rows.length * share)));
  const chosen = new Set(new Random('held out', ...seedParts).permutation(rows.length).slice(0, count));
  return {
    train: rows.filter((_, index) => !chosen.has(index)),
    heldOut: rows.filter((_, index) => chosen.has(index)),
  };
}
