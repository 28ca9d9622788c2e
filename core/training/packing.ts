/** @file Lays the examples of a step out in rows: several side by side, with what they have in common stored once. */

import { targetsOf, type EngineBatch, type Segment } from '../engine/batch.ts';
import { cheapestRows, measure } from './rows.ts';
import type { TokenExample } from './tokens.ts';

/** A batch and what it holds. */
export interface TokenBatch extends EngineBatch {
  /** Tokens of all examples, each counted in full: also what it shares with another. */
  readonly tokens: number;
  readonly supervisedTokens: number;
  /** What is computed: batch · length. */
  readonly places: number;
  /** Places that hold nothing. */
  readonly padding: number;
}

/**
 * Packs examples into the rows that are estimated to cost least. Each token is computed with exactly what precedes
 * it in its own example. What examples of one row have in common from their first token on is stored once; where
 * `sharePrefixes` is false, every example has places of its own. Targets keep the order of the examples. Equal
 * examples give equal batches.
 * @param filler id of the tokens in places that hold nothing
 */
export function packBatch(
  examples: readonly TokenExample[],
  { filler, sharePrefixes = true }: { filler: number; sharePrefixes?: boolean },
): TokenBatch {
  const measured = measure(examples, sharePrefixes);
  const { shared } = measured;
  const { rows, length } = cheapestRows([...examples.keys()], measured);
  const ids = new Int32Array(rows.length * length).fill(filler);
  const positions = new Int32Array(ids.length);
  const segments: Segment[] = [];
  const places = examples.map((example) => new Int32Array(example.ids.length));
  let padding = ids.length;
  for (const [row, members] of rows.entries()) {
    let end = 0;
    /** Writes what `group` have in common from position `from` on, and then each subgroup's own. */
    const write = (group: readonly number[], from: number, parent: number | null): void => {
      const to = group.reduce(
        (least, member) => Math.min(least, shared[group[0]][member]),
        examples[group[0]].ids.length,
      );
      const start = end;
      const first = row * length + start;
      end += to - from;
      for (let position = from; position < to; position++) {
        const place = first + position - from;
        ids[place] = examples[group[0]].ids[position];
        positions[place] = position;
        for (const member of group) places[member][position] = place;
      }
      let own = parent;
      if (to > from) own = segments.push({ row, start, length: to - from, parent }) - 1;
      const rest = group.filter((member) => examples[member].ids.length > to);
      for (const subgroup of groupsBeyond(rest, to, shared)) write(subgroup, to, own);
    };
    for (const group of groupsBeyond(members, 0, shared)) write(group, 0, null);
    padding -= end;
  }
  return {
    batch: rows.length,
    length,
    ids,
    positions,
    segments,
    targets: targetsOf(examples, places),
    examples: examples.length,
    tokens: examples.reduce((sum, example) => sum + example.ids.length, 0),
    supervisedTokens: examples.reduce((sum, example) => sum + example.supervisedTokens, 0),
    places: ids.length,
    padding,
  };
}

/** Members that agree on more than `position` tokens, together, in the order of their first. */
function groupsBeyond(
  members: readonly number[],
  position: number,
  shared: readonly Int32Array[],
): number[][] {
  const groups: number[][] = [];
  for (const member of members) {
    const group = groups.find(([first]) => shared[first][member] > position);
    if (group) group.push(member);
    else groups.push([member]);
  }
  return groups;
}
