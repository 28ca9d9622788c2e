/** @file Rows that a site never trains on, chosen by what they say: the same ones for every run, seed and order. */

import { canonicalJson, sha256 } from '../federation/canonical.ts';
import type { Json } from '../federation/canonical.ts';
import { DEFAULT_SHARE } from '../federation/held-out.ts';
import type { Evaluation } from '../federation/held-out.ts';

export interface Split<Row> {
  readonly training: readonly Row[];
  readonly heldOut: readonly Row[];
}

/**
 * Divides rows by the hash of their content, so that equal rows fall on one side and a row that is held out today is
 * held out in every later run. With `share` about that share is held out, with `count` the rows with the lowest
 * hashes; never more than half of them.
 */
export function splitHeldOut<Row>(
  rows: readonly Row[],
  contentOf: (row: Row) => Json,
  { share, count }: Pick<Evaluation, 'share' | 'count'>,
): Split<Row> {
  const hashes = rows.map((row) => sha256(`tributary held-out ${canonicalJson(contentOf(row))}`));
  const limit =
    count === undefined ? (share ?? DEFAULT_SHARE) : shareOf(hashes, Math.min(count, rows.length >> 1));
  const isHeldOut = hashes.map((hash) => fractionOf(hash) < limit);
  return {
    training: rows.filter((_, index) => !isHeldOut[index]),
    heldOut: rows.filter((_, index) => isHeldOut[index]),
  };
}

/** The first 48 bits of a hash as a number in [0, 1). */
function fractionOf(hash: string): number {
  return Number.parseInt(hash.slice(0, 12), 16) / 2 ** 48;
}

/** The limit below which `count` of the hashes lie, or a few fewer where rows are equal. */
function shareOf(hashes: readonly string[], count: number): number {
  return hashes.map(fractionOf).sort((a, b) => a - b)[count] ?? 0;
}
