/** @file What an evaluation task says of itself: a small file of data, never code. */

import { z } from 'zod';
import { TEMPLATE_NAMES } from '../../training/templates.ts';

const text = z.string().min(1);
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'lower-case letters, digits and dashes, 64 at most');

/** A path below the folder that the user names. `*` stands in its last part for a group, such as MMLU's subjects. */
const path = z
  .string()
  .regex(
    /^(?!\/)(?!.*(^|[\\/])\.\.([\\/]|$))[^\\*]*(\*[^\\*/]*)?$/,
    'a relative path with at most one * in its last part',
  );

const source = {
  /** Where the rows may lie: the first that is there. JSON Lines, or CSV with a heading line. */
  files: z.array(path).min(1),
  /** Names of the columns of a CSV file that has no heading line. */
  columns: z.array(text).optional(),
  /** Only rows whose fields have these values. */
  where: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
};

/** Solved examples before the question. */
const fewShot = z.strictObject({
  count: z.int().min(1).max(32),
  ...source,
  /** The rows of the task themselves where it is not said; those that are shown are then not asked. */
  files: source.files.optional(),
  /** Which rows are shown: drawn by the seed, or the first ones. */
  draw: z.enum(['random', 'first']).default('random'),
});

const shared = {
  name,
  about: text,
  rows: z.strictObject(source),
  /** Seeds the draws of rows and of examples. */
  seed: z.int().default(0),
  /** At most so many rows, drawn at random. */
  limit: z.int().min(1).optional(),
};

/** In texts `{field}` is a field of the row (`{options.A}` one inside another), `{group}` what `*` stood for. */
const asked = {
  ...shared,
  /** `none`: plain text, which an answer continues after a blank. */
  template: z.enum([...TEMPLATE_NAMES, 'none']),
  /** Stands once before everything else. */
  preamble: z.string().default(''),
  prompt: text,
  /** Between examples in plain text; in a template each is a turn. */
  separator: z.string().default('\n\n'),
  fewShot: fewShot.optional(),
  /** Prompts with more tokens are left out; default what the model takes. */
  maxLength: z.int().min(8).optional(),
};

const likelihood = {
  ...asked,
  /**
   * The answer is chosen whose tokens are together (`sum`) or on average (`mean`) the likeliest, or whose first token
   * alone is (`first`).
   */
  choose: z.enum(['sum', 'mean', 'first']).default('sum'),
};

const labels = z.strictObject({
  kind: z.literal('labels'),
  ...likelihood,
  /** The field with the right label. */
  label: text,
  /**
   * What the values of the field are called; several may have one name. Without it, and without `ranges`, the values
   * that occur are the labels, underscores read as blanks. `{labels}` lists them in a text.
   */
  labels: z.record(z.string(), text).optional(),
  /** Of a number: the first label whose bound is above it; the last has none. */
  ranges: z
    .array(z.strictObject({ below: z.number().optional(), label: text }))
    .min(2)
    .optional(),
});

const choices = z.strictObject({
  kind: z.literal('choices'),
  ...likelihood,
  /** The fields with the options, in order; `{options}` lists them with their letters in a text. */
  options: z.array(text).min(2).max(26),
  /** The field with the right option's letter, or its number from 0. */
  answer: text,
  /** What is scored after the prompt: the letters or the options' texts. */
  score: z.enum(['letter', 'text']).default('letter'),
});

const generated = {
  ...asked,
  /** Longest answer in tokens. */
  maxTokens: z.int().min(1).max(4096),
  /** Strings that end an answer. */
  stop: z.array(text).default([]),
};

const numeric = z.strictObject({
  kind: z.literal('numeric'),
  ...generated,
  /** The field with the solution; its result stands after `####`, or is all there is. */
  answer: text,
});

const refusal = z.strictObject({ kind: z.literal('refusal'), ...generated });

const preference = z.strictObject({
  kind: z.literal('preference'),
  ...shared,
  template: z.enum(TEMPLATE_NAMES),
  maxLength: z.int().min(8).default(512),
});

export const taskSchema = z.discriminatedUnion('kind', [labels, choices, numeric, refusal, preference]);
export const suiteSchema = z.strictObject({ name, about: text, tasks: z.array(name).min(1) });

export type Task = z.output<typeof taskSchema>;
export type Suite = z.output<typeof suiteSchema>;
export type TaskKind = Task['kind'];
export type TaskOf<Kind extends TaskKind> = Extract<Task, { kind: Kind }>;
/** Tasks that put a question to the model. */
export type AskedTask = Exclude<Task, { kind: 'preference' }>;
/** Tasks whose answer is the likeliest of several. */
export type LikelihoodTask = TaskOf<'labels'> | TaskOf<'choices'>;
