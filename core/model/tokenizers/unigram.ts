/** @file Unigram segmentation (Kudo, 2018): the pieces whose log-probabilities have the largest sum. */

import type { Segment } from './sentencepiece.ts';

/** What an unknown character costs beyond the least likely piece, as in SentencePiece. */
const UNKNOWN_PENALTY = 10;

/** A prefix tree over characters. */
interface Node {
  readonly children: Map<string, Node>;
  id: number | null;
}

/**
 * The best segmentation by Viterbi's algorithm; among equals the one whose last piece begins first.
 * @param scores of the pieces, by id
 */
export function segmentByUnigram(
  vocabulary: ReadonlyMap<string, number>,
  scores: readonly number[],
): (characters: readonly string[]) => Segment[] {
  const root: Node = { children: new Map(), id: null };
  let lowest = 0;
  for (const [text, id] of vocabulary) {
    let node = root;
    for (const character of text) {
      const next = node.children.get(character) ?? { children: new Map(), id: null };
      node.children.set(character, next);
      node = next;
    }
    node.id = id;
    lowest = Math.min(lowest, scores[id]);
  }
  return (characters) => {
    const count = characters.length;
    const best = new Float64Array(count + 1).fill(-Infinity);
    const from = new Int32Array(count + 1);
    const ids: (number | null)[] = [];
    best[0] = 0;
    for (let start = 0; start < count; start++) {
      const offer = (end: number, id: number | null, score: number): void => {
        if (best[start] + score <= best[end]) return;
        best[end] = best[start] + score;
        from[end] = start;
        ids[end] = id;
      };
      let node = root.children.get(characters[start]);
      if (node === undefined || node.id === null) offer(start + 1, null, lowest - UNKNOWN_PENALTY);
      for (let end = start + 1; node !== undefined; end++) {
        if (node.id !== null) offer(end, node.id, scores[node.id]);
        node = end < count ? node.children.get(characters[end]) : undefined;
      }
    }
    const segments: Segment[] = [];
    for (let end = count; end > 0; end = from[end]) segments.push({ id: ids[end], start: from[end], end });
    return segments.reverse();
  };
}
