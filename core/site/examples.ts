/** @file From the rows of a dataset to the examples of a plan. */

import { TributaryError } from '../errors.ts';
import { parseRowFor } from '../training/examples.ts';
import type { Example } from '../training/examples.ts';
import type { Vault } from '../vault/vault.ts';

export interface DatasetExamples {
  readonly examples: readonly Example[];
  /** Rows that the objective cannot use. */
  readonly skipped: number;
}

/** All usable rows in their order. Throws `vault.unknown-dataset`. */
export function readExamples(vault: Vault, dataset: string): DatasetExamples {
  const examples: Example[] = [];
  let skipped = 0;
  for (const row of vault.rows(dataset)) {
    try {
      examples.push(parseRowFor('sft', row));
    } catch (error) {
      if (!(error instanceof TributaryError) || error.code !== 'data.broken-line') throw error;
      skipped += 1;
    }
  }
  return { examples, skipped };
}
