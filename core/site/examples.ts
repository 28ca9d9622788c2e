/** @file From the rows of a dataset to the examples of a plan. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import type { Plan } from '../federation/plan.ts';
import { parseRowFor } from '../training/examples.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';
import type { Vault, VaultRow } from '../vault/vault.ts';
import { checkContract } from './contract.ts';
import { splitHeldOut } from './held-out.ts';

export interface DatasetExamples {
  /** Those of the kind that the objective trains on. */
  readonly examples: readonly (Example | PreferenceExample)[];
  /** Those that the plan's evaluation keeps from training. */
  readonly heldOut: readonly (Example | PreferenceExample)[];
  /** Rows that the objective cannot use. */
  readonly skipped: number;
}

/** What an objective trains on, and the fields of such a row. */
const NEEDED = {
  sft: 'a conversation (instruction and response, question and answer, or messages)',
  dpo: 'a preference pair (prompt, chosen, rejected)',
} as const;

/**
 * All rows that the objective can use, in their order, after a look whether they keep the plan's data contract. Throws
 * `vault.unknown-dataset`, `data.contract`, and `data.wrong-kind` where there are none; the sentences name neither the
 * dataset nor anything of a row.
 */
export function readExamples(
  vault: Vault,
  dataset: string,
  { objective, data, evaluation }: Pick<Plan, 'objective' | 'data' | 'evaluation'>,
): DatasetExamples {
  const rows = [...vault.rows(dataset)];
  if (data !== undefined) checkContract(data, rows);
  const { training, heldOut } =
    evaluation === undefined
      ? { training: rows, heldOut: [] }
      : splitHeldOut(rows, (row) => z.record(z.string(), z.json()).parse(row), evaluation);
  const used = toExamples(training, objective);
  const kept = toExamples(heldOut, objective);
  if (used.examples.length === 0) {
    const what = `the objective ${objective} trains on rows of which each is ${NEEDED[objective]}`;
    throw new TributaryError('data.wrong-kind', `The dataset holds none of what it needs: ${what}.`);
  }
  return { examples: used.examples, heldOut: kept.examples, skipped: used.skipped };
}

function toExamples(
  rows: readonly VaultRow[],
  objective: Plan['objective'],
): Pick<DatasetExamples, 'examples' | 'skipped'> {
  const examples: (Example | PreferenceExample)[] = [];
  let skipped = 0;
  for (const row of rows) {
    try {
      examples.push(parseRowFor(objective, row));
    } catch (error) {
      if (!(error instanceof TributaryError) || error.code !== 'data.broken-line') throw error;
      skipped += 1;
    }
  }
  return { examples, skipped };
}
