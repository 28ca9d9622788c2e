/** @file The data contract of a plan: what every site checks of its rows before it takes part. */

import { z } from 'zod';

const fieldName = z.string().min(1).max(100);

/** Languages that a contract can ask for: those that a site can tell by script or by frequent words. */
export const LANGUAGES = ['ar', 'de', 'en', 'es', 'fr', 'it', 'ja', 'ko', 'nl', 'pt', 'ru', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];

/** `data` of a plan. */
export const dataContractSchema = z.strictObject({
  fields: z
    .array(fieldName)
    .min(1)
    .max(50)
    .optional()
    .describe('fields that every row has, with something in them'),
  labels: z
    .record(fieldName, z.array(z.string().min(1).max(200)).min(1).max(1000))
    .optional()
    .describe(
      'for a field, the only values that it may have, such as {"response": ["positive", "negative"]}',
    ),
  language: z.enum(LANGUAGES).optional().describe('language that the rows are written in'),
  minimumRows: z.int().min(1).max(1_000_000_000).optional().describe('rows that a site must have at least'),
});
export type DataContract = z.infer<typeof dataContractSchema>;
