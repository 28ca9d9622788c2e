/** @file From the rows of a dataset to the examples of a plan. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import type { Plan } from '../federation/plan.ts';
import { parseRowFor } from '../training/examples.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';
import type { StoredRow, Vault } from '../vault/vault.ts';
import { SPLITS } from '../vault/split.ts';
import { checkContract } from './contract.ts';
import { splitHeldOut } from './held-out.ts';
import type { Split } from './held-out.ts';

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
  const records = [...vault.records(dataset)];
  if (data !== undefined)
    checkContract(
      data,
      records.map(({ row }) => row),
    );
  const { training, heldOut } = divide(records, evaluation);
  const used = toExamples(training, objective);
  const kept = toExamples(heldOut, objective);
  if (used.examples.length === 0) {
    const what = `the objective ${objective} trains on rows of which each is ${NEEDED[objective]}`;
    throw new TributaryError('data.wrong-kind', `The dataset holds none of what it needs: ${what}.`);
  }
  return { examples: used.examples, heldOut: kept.examples, skipped: used.skipped };
}

/**
 * Rows that the site set aside for validation and test when it imported them are never trained on, whatever the plan;
 * those for validation are scored, or those for test where there are no others. A dataset that was not split is divided
 * as the plan's evaluation says, the rows of one person on one side.
 */
function divide(records: readonly StoredRow[], evaluation: Plan['evaluation']): Split<StoredRow> {
  const [training, validation, test] = SPLITS.map((side) => records.filter(({ split }) => split === side));
  const isSplit = training.length < records.length;
  if (evaluation === undefined) return { training, heldOut: [] };
  if (isSplit) return { training, heldOut: validation.length > 0 ? validation : test };
  const contentOf = ({ row, person }: StoredRow) =>
    person === null ? z.record(z.string(), z.json()).parse(row) : { person };
  return splitHeldOut(records, contentOf, evaluation);
}

function toExamples(
  records: readonly StoredRow[],
  objective: Plan['objective'],
): Pick<DatasetExamples, 'examples' | 'skipped'> {
  const examples: (Example | PreferenceExample)[] = [];
  let skipped = 0;
  for (const { row, person } of records) {
    try {
      const example = parseRowFor(objective, row);
      examples.push(person === null ? example : { ...example, person });
    } catch (error) {
      if (!(error instanceof TributaryError) || error.code !== 'data.broken-line') throw error;
      skipped += 1;
    }
  }
  return { examples, skipped };
}
