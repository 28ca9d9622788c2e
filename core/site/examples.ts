/** @file From the rows of a dataset to the examples of a plan. */

import { TributaryError } from '../errors.ts';
import type { Plan } from '../federation/plan.ts';
import { parseRowFor } from '../training/examples.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';
import type { Vault } from '../vault/vault.ts';

export interface DatasetExamples {
  /** All of the kind that the objective trains on. */
  readonly examples: readonly (Example | PreferenceExample)[];
  /** Rows that the objective cannot use. */
  readonly skipped: number;
}

/** What an objective trains on, and the fields of such a row. */
const NEEDED = {
  sft: 'a conversation (instruction and response, question and answer, or messages)',
  dpo: 'a preference pair (prompt, chosen, rejected)',
} as const;

/**
 * All rows that the objective can use, in their order. Throws `vault.unknown-dataset`, and `data.wrong-kind` where
 * there are none; its sentence names neither the dataset nor a row.
 */
export function readExamples(
  vault: Vault,
  dataset: string,
  { objective }: Pick<Plan, 'objective'>,
): DatasetExamples {
  const examples: (Example | PreferenceExample)[] = [];
  let skipped = 0;
  for (const row of vault.rows(dataset)) {
    try {
      examples.push(parseRowFor(objective, row));
    } catch (error) {
      if (!(error instanceof TributaryError) || error.code !== 'data.broken-line') throw error;
      skipped += 1;
    }
  }
  if (examples.length === 0) {
    const what = `the objective ${objective} trains on rows of which each is ${NEEDED[objective]}`;
    throw new TributaryError('data.wrong-kind', `The dataset holds none of what it needs: ${what}.`);
  }
  return { examples, skipped };
}
