/** @file The layout that an engine computes on: rows of places that hold pieces of texts. */

/** Label of a token that is not supervised, as in PyTorch. */
export const UNSUPERVISED = -100;

/** Consecutive places of a row that hold consecutive tokens of a text. */
export interface Segment {
  readonly row: number;
  /** First place within the row. */
  readonly start: number;
  readonly length: number;
  /** Index of the segment of the same row that this one continues, listed before it; null where a text begins. */
  readonly parent: number | null;
}

/** What is predicted, ordered by example and then by position; an entry per supervised token. */
export interface Targets {
  /** Flat places (row · length + place in the row) that predict; one may predict several tokens. */
  readonly places: Int32Array;
  /** The tokens to be predicted. */
  readonly labels: Int32Array;
  /** The example that each belongs to, from 0. */
  readonly examples: Int32Array;
}

/**
 * Rows of token ids, row-major [batch, length], that hold texts side by side. A token sees the tokens before it in
 * its own segment and all tokens of that segment's ancestors, and nothing else, so that each text is computed as if
 * it were alone, and what texts have in common can be computed once. Places outside of all segments are padding.
 */
export interface EngineBatch {
  readonly batch: number;
  readonly length: number;
  readonly ids: Int32Array;
  /** Position of each token in its own text. */
  readonly positions: Int32Array;
  readonly segments: readonly Segment[];
  readonly targets: Targets;
  /** Number of examples. */
  readonly examples: number;
}

/** A text with the label of each token: itself or {@link UNSUPERVISED}; without labels nothing is supervised. */
export interface LabelledText {
  readonly ids: ArrayLike<number>;
  readonly labels?: ArrayLike<number>;
  /** Place in its row where it begins, default 0: right padding. */
  readonly start?: number;
}

/** One text a row, filled up with the token `filler` to the longest row. */
export function paddedBatch(texts: readonly LabelledText[], filler: number): EngineBatch {
  const length = texts.reduce((longest, { ids, start = 0 }) => Math.max(longest, start + ids.length), 0);
  const ids = new Int32Array(texts.length * length).fill(filler);
  const positions = new Int32Array(ids.length);
  const segments: Segment[] = [];
  const places: Int32Array[] = [];
  for (const [row, { ids: own, start = 0 }] of texts.entries()) {
    const from = row * length + start;
    ids.set(own, from);
    places.push(Int32Array.from(own, (_, position) => from + position));
    places[row].forEach((place, position) => (positions[place] = position));
    segments.push({ row, start, length: own.length, parent: null });
  }
  const targets = targetsOf(texts, places);
  return { batch: texts.length, length, ids, positions, segments, targets, examples: texts.length };
}

/**
 * The targets of texts of which each token's flat place is known.
 * @param places a list per text, a place per token
 */
export function targetsOf(
  texts: readonly Pick<LabelledText, 'labels'>[],
  places: readonly Int32Array[],
): Targets {
  const found = { places: [] as number[], labels: [] as number[], examples: [] as number[] };
  for (const [example, { labels = [] }] of texts.entries()) {
    // Nothing predicts the first token of a text.
    for (let position = 1; position < labels.length; position++) {
      if (labels[position] === UNSUPERVISED) continue;
      found.places.push(places[example][position - 1]);
      found.labels.push(labels[position]);
      found.examples.push(example);
    }
  }
  return {
    places: Int32Array.from(found.places),
    labels: Int32Array.from(found.labels),
    examples: Int32Array.from(found.examples),
  };
}
