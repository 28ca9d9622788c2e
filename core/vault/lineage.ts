/** @file Where a dataset comes from: the file, how it was read, what was left out, and what was chosen. */

import { z } from 'zod';
import { mappingShape } from './mapping-shape.ts';
import { personalReportShape } from './personal/treatment.ts';
import { ENCODINGS, FORMATS } from './readers/source.ts';

const count = z.int().min(0);

export const countsShape = z.strictObject({
  /** Records of the file, broken ones included. */
  read: count,
  /** Rows of the dataset. */
  kept: count,
  /** Rows that say the same as one before; kept, unless they were to be left out. */
  duplicates: count,
  /** Left out: a field that is needed holds nothing. */
  empty: count,
  /** Rows with more characters than `overlong` of the import; kept. */
  overlong: count,
  /** Left out: not what the format or the mapping needs. */
  broken: count,
  /** Left out: rows that hold personal data of a kind whose rows were to be left out. */
  personal: count.default(0),
});
export type Counts = z.infer<typeof countsShape>;

export function emptyCounts(): Counts {
  return { read: 0, kept: 0, duplicates: 0, empty: 0, overlong: 0, broken: 0, personal: 0 };
}

export const lineageShape = z.strictObject({
  /** Null for rows that came without a file, or were imported before this was recorded. */
  file: z
    .strictObject({
      name: z.string(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      bytes: count,
      format: z.enum(FORMATS),
      encoding: z.enum(ENCODINGS).nullable(),
    })
    .nullable(),
  mapping: mappingShape,
  counts: countsShape,
  /** Columns whose values tell persons and documents apart; the values are not kept. */
  person: z.string().optional(),
  document: z.string().optional(),
  /** Distinct persons of the dataset. */
  people: count.optional(),
  /** Shares that were asked for, and the rows that came of it. */
  split: z
    .strictObject({
      validation: z.number(),
      test: z.number(),
      rows: z.strictObject({ train: count, validation: count, test: count }),
    })
    .optional(),
  /** Rows were left out that say the same as one before. */
  withoutDuplicates: z.boolean().optional(),
  /** Absent where nobody looked for personal data. */
  personal: personalReportShape.optional(),
  /** Rows in which personal data were masked. */
  masked: count.optional(),
  /** How long the import took. */
  seconds: z.number().min(0).optional(),
});
export type Lineage = z.infer<typeof lineageShape>;
