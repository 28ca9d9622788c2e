/** @file Tasks that ask which of two answers a model prefers. */

import { TributaryError } from '../../errors.ts';
import { parseRowFor } from '../../training/examples.ts';
import { PREFERENCE_DEFAULTS } from '../../training/preference.ts';
import { pairValues } from '../preference-file.ts';
import type { Examinee, Measured } from './outcomes.ts';
import type { TaskRows } from './rows.ts';
import type { TaskOf } from './schema.ts';

/** Pairs computed at once. */
const BATCH = 4;

/** Compares the answers of each pair, as for a file of pairs. */
export async function measurePreference(
  { template, maxLength }: TaskOf<'preference'>,
  { rows }: TaskRows,
  examinee: Examinee,
): Promise<Measured> {
  const pairs = rows.flatMap(({ fields }, row) => {
    try {
      return [{ row, example: parseRowFor('dpo', fields) }];
    } catch (error) {
      if (error instanceof TributaryError) return [];
      throw error;
    }
  });
  const incomplete = rows.length - pairs.length;
  const leftOut = incomplete > 0 ? { incomplete } : {};
  if (pairs.length === 0) return { outcomes: [], leftOut };
  const examples = pairs.map(({ example }) => example);
  const dpo = PREFERENCE_DEFAULTS;
  const result = await examinee.evaluatePreferences({ examples, template, maxLength, batchSize: BATCH, dpo });
  const outcomes = result.examples.map((pair) => ({
    row: pairs[pair.index].row,
    values: pairValues(pair, dpo),
  }));
  return { outcomes, leftOut: result.skipped > 0 ? { ...leftOut, tooLong: result.skipped } : leftOut };
}
