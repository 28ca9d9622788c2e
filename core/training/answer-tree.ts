/** @file Lays answers to prompts out in one row, with what texts have in common from the start on stored once. */

import type { EngineBatch, Segment } from '../engine/batch.ts';

/** A prompt with one answer as tokens; `answer` is where the answer begins, at 1 or later. */
export interface AnswerTokens {
  readonly ids: Int32Array;
  readonly answer: number;
}

/** A token that follows those above it. */
interface Node {
  readonly id: number;
  readonly position: number;
  readonly children: Map<number, Node>;
  place: number;
}

/**
 * A batch of one row. Its examples are the texts, and all tokens of their answers are targets. The last token of a
 * text has no place, for nothing is predicted from it: answers of one token cost nothing but their prompt.
 * @param past so many tokens with which all texts begin lie in a cache and have no place; fewer than come before
 * any answer's first predictor
 */
export function answerTree(texts: readonly AnswerTokens[], past: number): EngineBatch {
  const root: Node = { id: -1, position: past - 1, children: new Map(), place: -1 };
  const predictors = texts.map((text) => plant(root, text));
  const { ids, positions, segments } = rowOf(root);
  const places = predictors.flat().map(({ place }) => place);
  return {
    batch: 1,
    length: ids.length,
    ids: Int32Array.from(ids),
    positions: Int32Array.from(positions),
    segments,
    targets: {
      places: Int32Array.from(places),
      labels: Int32Array.from(texts.flatMap(({ ids, answer }) => [...ids.subarray(answer)])),
      examples: Int32Array.from(
        texts.flatMap(({ ids, answer }, text) => Array.from(ids.subarray(answer), () => text)),
      ),
    },
    examples: texts.length,
  };
}

/** Adds a text below the root. Returns the tokens from which its answer is predicted. */
function plant(root: Node, { ids, answer }: AnswerTokens): Node[] {
  const predictors: Node[] = [];
  let node = root;
  for (let position = root.position + 1; position < ids.length - 1; position++) {
    const id = ids[position];
    const next = node.children.get(id) ?? { id, position, children: new Map<number, Node>(), place: -1 };
    node.children.set(id, next);
    node = next;
    if (position >= answer - 1) predictors.push(node);
  }
  return predictors;
}

/** Gives every token its place: below each other where one alone follows, branches one after the other. */
function rowOf(root: Node): { ids: number[]; positions: number[]; segments: Segment[] } {
  const ids: number[] = [];
  const positions: number[] = [];
  const segments: Segment[] = [];
  const branches = (above: Node, parent: number | null) =>
    [...above.children.values()].reverse().map((node) => ({ node, parent }));
  const open = branches(root, null);
  for (let next = open.pop(); next; next = open.pop()) {
    const start = ids.length;
    let { node } = next;
    for (;;) {
      node.place = ids.push(node.id) - 1;
      positions.push(node.position);
      const [only, ...others] = node.children.values();
      if (only === undefined || others.length > 0) break;
      node = only;
    }
    const segment = { row: 0, start, length: ids.length - start, parent: next.parent };
    open.push(...branches(node, segments.push(segment) - 1));
  }
  return { ids, positions, segments };
}
