/**
 * @file Training, validation and test rows. What belongs together stays together: rows of one person, of one document,
 * and rows that say the same, also where these overlap. The side follows from the content alone, so the same rows fall
 * on the same side whatever their order.
 */

import { hash } from 'node:crypto';

export const SPLITS = ['train', 'validation', 'test'] as const;
export type Split = (typeof SPLITS)[number];

export interface SplitShares {
  /** Shares of the groups, 0 to 1; what is left is for training. */
  readonly validation: number;
  readonly test: number;
}

export interface Splitter {
  /** Adds a row by all that ties it to others: hashes of its content, its person, its document. */
  add(ties: readonly string[]): void;
  /** Per row the index of its side in {@link SPLITS}. */
  assign(shares: SplitShares): Uint8Array;
}

export function startSplit(): Splitter {
  const nodes = new Map<string, number>();
  const names: string[] = [];
  let parents = new Int32Array(1024);
  let rowNodes = new Int32Array(1024);
  let rows = 0;
  const find = (node: number): number => {
    let root = node;
    while (parents[root] !== root) root = parents[root];
    for (let at = node; at !== root;) {
      const above = parents[at];
      parents[at] = root;
      at = above;
    }
    return root;
  };
  const nodeOf = (tie: string): number => {
    const known = nodes.get(tie);
    if (known !== undefined) return known;
    const node = names.push(tie) - 1;
    nodes.set(tie, node);
    if (node === parents.length) parents = grown(parents);
    parents[node] = node;
    return node;
  };
  return {
    add: (ties) => {
      const [one, ...others] = ties.map(nodeOf);
      for (const other of others) {
        const [low, high] = [find(one), find(other)].sort((a, b) => a - b);
        parents[high] = low;
      }
      if (rows === rowNodes.length) rowNodes = grown(rowNodes);
      rowNodes[rows++] = one;
    },
    assign: ({ validation, test }) => {
      // A group is known by the least of its ties, which does not depend on their order.
      const least = new Map<number, string>();
      for (const [node, name] of names.entries()) {
        const root = find(node);
        const before = least.get(root);
        if (before === undefined || name < before) least.set(root, name);
      }
      const sides = new Map<number, number>();
      for (const [root, name] of least) {
        const place = Number.parseInt(hash('sha256', `tributary split ${name}`).slice(0, 12), 16) / 2 ** 48;
        sides.set(root, place < test ? 2 : place < test + validation ? 1 : 0);
      }
      return Uint8Array.from({ length: rows }, (_, row) => sides.get(find(rowNodes[row])) ?? 0);
    },
  };
}

function grown(values: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(values.length * 2);
  larger.set(values);
  return larger;
}
