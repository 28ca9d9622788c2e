/** @file In which rows examples lie side by side, such that computing them costs least. */

import type { TokenExample } from './tokens.ts';

/**
 * Attending to the whole of a row this long costs a place as much as all else: measured 1300 places for a model of
 * 135 million float32 weights on a CPU, and fewer where the weights are cheaper to multiply by.
 */
const ATTENTION_LENGTH = 1000;
/** Row lengths that are tried lie this far apart. */
const LENGTH_STEP = 16;

/** Examples by number, how long each is, and how much of it is common with each other one. */
export interface Lengths {
  readonly lengths: readonly number[];
  /** Tokens that two examples have in common from the first on; an example with itself: all. */
  readonly shared: readonly Int32Array[];
}

/** The examples of each row, and how many places the longest row takes. */
export interface Rows {
  readonly rows: readonly (readonly number[])[];
  readonly length: number;
}

/** @param sharePrefixes whether examples may have places in common */
export function measure(examples: readonly TokenExample[], sharePrefixes: boolean): Lengths {
  const shared = examples.map(() => new Int32Array(examples.length));
  for (const [index, { ids }] of examples.entries()) {
    shared[index][index] = ids.length;
    for (let other = 0; sharePrefixes && other < index; other++) {
      const { ids: others } = examples[other];
      const shorter = Math.min(ids.length, others.length);
      let length = 0;
      while (length < shorter && ids[length] === others[length]) length++;
      shared[index][other] = length;
      shared[other][index] = length;
    }
  }
  return { lengths: examples.map(({ ids }) => ids.length), shared };
}

/** Estimated cost of rows in places without attention: rows · length · (1 + length / {@link ATTENTION_LENGTH}). */
export function costOf({ rows, length }: Rows): number {
  return rows.length * length * (1 + length / ATTENTION_LENGTH);
}

/** The cheapest rows for some examples, of all row lengths from the longest of them on. */
export function cheapestRows(members: readonly number[], measured: Lengths): Rows {
  const { lengths } = measured;
  const longestFirst = [...members].sort((a, b) => lengths[b] - lengths[a] || a - b);
  const together = fillRows(longestFirst, measured, Infinity);
  let best: Rows | null = null;
  for (let capacity = lengths[longestFirst[0]]; ; capacity += LENGTH_STEP) {
    const found = fillRows(longestFirst, measured, capacity);
    if (!best || costOf(found) < costOf(best)) best = found;
    if (found.rows.length === 1) return best;
    // Longer rows cost more even when nothing is padding and all is shared that can be.
    if (together.length * (1 + capacity / ATTENTION_LENGTH) > costOf(best)) return best;
  }
}

/** First fit, longest first, but into the row with which an example has most in common. */
function fillRows(longestFirst: readonly number[], { lengths, shared }: Lengths, capacity: number): Rows {
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
