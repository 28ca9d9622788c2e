/** @file Lays the examples of a step out in rows: several side by side, with what they have in common stored once. */

import { targetsOf, type EngineBatch, type Segment } from '../engine/batch.ts';
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
 * Attending to one row length costs a place as much as this share of everything else: with rows of this length,
 * attention takes half of the time.
 */
const ATTENTION_HALF_LENGTH = 1500;
/** Row lengths that are tried lie this far apart. */
const LENGTH_STEP = 16;

/**
 * Packs examples into rows of one length, such that the estimated cost of the batch,
 *
 *   rows · length · (1 + length / {@link ATTENTION_HALF_LENGTH}),
 *
 * is least among row lengths from the longest example to the sum of all. Each token is computed with exactly what
 * precedes it in its own example. What examples of one row have in common from their first token on is stored
 * once; where `sharePrefixes` is false, every example has places of its own. Targets keep the order of the
 * examples. Equal examples give equal batches.
 * @param filler id of the tokens in places that hold nothing
 */
export function packBatch(
  examples: readonly TokenExample[],
  { filler, sharePrefixes = true }: { filler: number; sharePrefixes?: boolean },
): TokenBatch {
  const shared = commonPrefixes(examples, sharePrefixes);
  const { rows, length } = cheapestRows(examples, shared);
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

/** How many tokens each two examples have in common from the first on; an example with itself: all. */
function commonPrefixes(examples: readonly TokenExample[], sharePrefixes: boolean): Int32Array[] {
  const shared = examples.map(() => new Int32Array(examples.length));
  for (const [index, { ids }] of examples.entries()) {
    shared[index][index] = ids.length;
    for (let other = 0; sharePrefixes && other < index; other++) {
      const { ids: others } = examples[other];
      let length = 0;
      while (length < ids.length && length < others.length && ids[length] === others[length]) length++;
      shared[index][other] = length;
      shared[other][index] = length;
    }
  }
  return shared;
}

/** Members of each row, and the places that the longest row takes. */
interface Rows {
  readonly rows: readonly (readonly number[])[];
  readonly length: number;
}

function cheapestRows(examples: readonly TokenExample[], shared: readonly Int32Array[]): Rows {
  const lengths = examples.map(({ ids }) => ids.length);
  const longestFirst = [...lengths.keys()].sort((a, b) => lengths[b] - lengths[a] || a - b);
  const together = fillRows(longestFirst, { lengths, shared, capacity: Infinity });
  const costOf = (places: number, length: number) => places * (1 + length / ATTENTION_HALF_LENGTH);
  const cost = ({ rows, length }: Rows) => costOf(rows.length * length, length);
  let best: Rows | null = null;
  for (let capacity = lengths[longestFirst[0]]; ; capacity += LENGTH_STEP) {
    const found = fillRows(longestFirst, { lengths, shared, capacity });
    if (!best || cost(found) < cost(best)) best = found;
    // Longer rows cost more even when nothing is padding and all is shared that can be.
    if (found.rows.length === 1 || costOf(together.length, capacity) > cost(best)) return best;
  }
}

/** First fit, longest first, but into the row with which an example has most in common. */
function fillRows(
  longestFirst: readonly number[],
  {
    lengths,
    shared,
    capacity,
  }: { lengths: readonly number[]; shared: readonly Int32Array[]; capacity: number },
): Rows {
  const rows: { members: number[]; used: number }[] = [];
  for (const example of longestFirst) {
    let chosen: { row: (typeof rows)[number]; saved: number } | null = null;
    for (const row of rows) {
      const saved = row.members.reduce((most, member) => Math.max(most, shared[example][member]), 0);
      const fits = row.used + lengths[example] - saved <= capacity;
      if (fits && (!chosen || saved > chosen.saved)) chosen = { row, saved };
    }
    if (chosen) {
      chosen.row.members.push(example);
      chosen.row.used += lengths[example] - chosen.saved;
    } else rows.push({ members: [example], used: lengths[example] });
  }
  return {
    rows: rows.map(({ members }) => members),
    length: rows.reduce((longest, { used }) => Math.max(longest, used), 0),
  };
}
