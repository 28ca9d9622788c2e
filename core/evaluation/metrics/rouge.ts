/** @file ROUGE-1, ROUGE-2 and ROUGE-L (Lin, 2004), computed as the `rouge-score` package does. */

import { porterStem } from './porter-stemmer.ts';

export interface Overlap {
  readonly precision: number;
  readonly recall: number;
  /** F₁ = 2PR / (P + R). */
  readonly f: number;
}

export interface Rouge {
  readonly rouge1: Overlap;
  readonly rouge2: Overlap;
  readonly rougeL: Overlap;
}

/**
 * Compares a prediction with a reference. Words are runs of ASCII letters and digits in lower case; with `stem`
 * those longer than three characters are reduced to their stem.
 */
export function rouge(reference: string, prediction: string, { stem }: { stem: boolean }): Rouge {
  const expected = words(reference, stem);
  const found = words(prediction, stem);
  return {
    rouge1: overlap(sharedRuns(expected, found, 1), expected.length, found.length),
    rouge2: overlap(
      sharedRuns(expected, found, 2),
      Math.max(0, expected.length - 1),
      Math.max(0, found.length - 1),
    ),
    rougeL: overlap(longestCommonSubsequence(expected, found), expected.length, found.length),
  };
}

function words(text: string, stem: boolean): string[] {
  const found = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return stem ? found.map((word) => (word.length > 3 ? porterStem(word) : word)) : found;
}

function overlap(shared: number, expected: number, found: number): Overlap {
  const precision = shared / Math.max(found, 1);
  const recall = shared / Math.max(expected, 1);
  const total = precision + recall;
  return { precision, recall, f: total > 0 ? (2 * precision * recall) / total : 0 };
}

/** How many runs of `length` words both have, each counted as often as it occurs in both. */
function sharedRuns(a: readonly string[], b: readonly string[], length: number): number {
  const runs = (list: readonly string[]): Map<string, number> => {
    const counts = new Map<string, number>();
    for (let start = 0; start + length <= list.length; start++) {
      const run = list.slice(start, start + length).join(' ');
      counts.set(run, (counts.get(run) ?? 0) + 1);
    }
    return counts;
  };
  const inB = runs(b);
  let shared = 0;
  for (const [run, count] of runs(a)) shared += Math.min(count, inB.get(run) ?? 0);
  return shared;
}

function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  let above = new Uint32Array(b.length + 1);
  for (const word of a) {
    const row = new Uint32Array(b.length + 1);
    for (let j = 0; j < b.length; j++) {
      row[j + 1] = word === b[j] ? above[j] + 1 : Math.max(above[j + 1], row[j]);
    }
    above = row;
  }
  return above[b.length];
}
