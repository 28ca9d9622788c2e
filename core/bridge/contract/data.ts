/** @file Private data: connecting a file, its mapping, what would be learned from it, what it holds of persons. */

import { z } from 'zod';
import { COLUMN_KINDS } from '../../vault/column-kinds.ts';
import { PERSONAL_CHOICES, PERSONAL_KINDS } from '../../vault/personal/kinds.ts';
import { mappingShape } from '../../vault/mapping-shape.ts';
import { PUBLIC_TOPICS } from '../../vault/public/topics.ts';
import { ENCODINGS, fileChoiceShape, FORMATS } from '../../vault/readers/source.ts';
import { count, name, nothing, path, request, sha256, started, text, time } from './request.ts';

const guess = z.object({
  mapping: mappingShape,
  /** The known dataset it looks like; null where it looks like none. */
  preset: z.string().nullable(),
  /** Why it was guessed, as a sentence. */
  reason: z.string(),
});

const columnShape = z.object({
  name: z.string(),
  kind: z.enum(COLUMN_KINDS),
  /** Share of the sampled rows that have a value, 0 to 1. */
  filled: z.number(),
});

/** What is to be done with a kind of personal data: leave it, replace it by its kind, or leave out rows that hold it. */
export const personalChoice = z.enum(PERSONAL_CHOICES);
export const personalKind = z.enum(PERSONAL_KINDS);

const mapped = z.strictObject({ path, reading: fileChoiceShape.default({}), mapping: mappingShape });

const shownText = z.object({
  segments: z.array(z.object({ text: z.string(), trained: z.boolean() })),
  tokens: count,
  trainedTokens: count,
  /** Whether it is longer than `maxLength` and was cut. */
  cut: z.boolean(),
});

export const datasetShape = z.object({
  name: z.string(),
  version: z.int().min(1),
  created: time,
  rows: count,
  /** What its rows can train: conversations (`sft`) or pairs (`dpo`). */
  objective: z.enum(['sft', 'dpo']),
  kind: z.string(),
  train: count,
  validation: count,
  test: count,
  /** Records of the file that are no rows of it: empty, broken, or left out for personal data. */
  skipped: count,
  leftOut: z.object({ empty: count, broken: count, personal: count }),
  duplicates: count,
  /** Rows so long that a training would cut them as a rule. */
  overlong: count,
  /** Rows in which personal data were masked. */
  masked: count,
  /** Name of the file it came from, without its folder. */
  source: z.string().nullable(),
  /** Other datasets, by name and version, that came from the same file. */
  sameFile: z.array(z.string()),
  /** What was chosen for personal data and found of them; null where nobody looked. */
  personal: z
    .partialRecord(personalKind, z.object({ choice: personalChoice, findings: count, rows: count }))
    .nullable(),
  /** Runs that train or have trained on it. */
  runs: z.array(z.string()),
});
export type Dataset = z.infer<typeof datasetShape>;

export const dataRequests = {
  /** Looks into a file: nothing is stored. Fails with `data.*` and `file.*`. */
  'data.inspect': request(
    z.strictObject({ path, reading: fileChoiceShape.default({}) }),
    z.object({
      path: z.string(),
      bytes: count,
      format: z.enum(FORMATS),
      encoding: z.enum(ENCODINGS).nullable(),
      delimiter: z.string().nullable(),
      /** Estimated from the bytes that the sample took unless `exact`. */
      rows: z.object({ count, exact: z.boolean() }),
      /** Columns that may tell persons and documents apart. */
      person: z.string().nullable(),
      document: z.string().nullable(),
      columns: z.array(columnShape),
      /** The first rows, by column; long values are cut. */
      sample: z.array(z.record(z.string(), z.string())),
      /** The mapping that fits best; null where none does. */
      guess: guess.nullable(),
      others: z.array(guess),
      /** A free name for the dataset, from the file's. */
      suggestedName: z.string(),
      /** What is odd about the file, in sentences. */
      notes: z.array(z.string()),
    }),
  ),
  /** Examples as the model will see them. With a dataset's name instead of a file, those of the dataset. */
  'data.preview': request(
    z.strictObject({
      source: z.union([mapped, z.strictObject({ dataset: name })]),
      /** Catalogue id or path; by default the bundled model, or `tiny` where that is not on this machine. */
      model: name.optional(),
      template: z.enum(['chat', 'alpaca', 'vicuna']).default('chat'),
      /** Longest example in tokens; null cuts nothing. */
      maxLength: z.int().min(8).max(131_072).nullable().default(null),
    }),
    z.object({
      model: z.string(),
      /** Three at most. Text in order; what is trained on is marked. */
      examples: z.array(
        shownText.extend({
          /** Of a pair: the worse answer after the same prompt. */
          rejected: shownText.nullable(),
        }),
      ),
      trainedTokens: count,
      /** Why nothing would be trained; null where something is. With it the import cannot start. */
      reason: z.string().nullable(),
    }),
  ),
  /** Personal data in a file or a dataset, by patterns and check digits, over the rows that were looked at. */
  'data.screen': request(
    z.strictObject({
      source: z.union([mapped, z.strictObject({ dataset: name })]),
      /** Rows to look at; the import looks at all of them. */
      rows: z.int().min(1).max(1_000_000).default(2000),
    }),
    z.object({
      rows: count,
      findings: z.array(
        z.object({
          kind: personalKind,
          /** Findings, and the rows that hold them. */
          count,
          rows: count,
          columns: z.array(z.string()),
          /** Veiled, such as `j•••@•••.•••`. */
          samples: z.array(z.string()),
          /** What is advised. */
          advice: personalChoice,
        }),
      ),
    }),
  ),
  /** A task of the kind `import`, counted in bytes or rows; its result: a `Dataset`. All of it or nothing. */
  'data.import': request(
    mapped.extend({
      name: z.string().min(1).max(64),
      /**
       * Choice for each kind of personal data, and for those that are not named because the screening of the first rows
       * did not meet them. All of it is counted and enters the ledger.
       */
      personal: z.partialRecord(personalKind, personalChoice).default({}),
      unseen: personalChoice.default('keep'),
      /** Shares of the rows for validation and test; the rest is for training. */
      split: z
        .strictObject({ validation: z.number().min(0).max(0.9), test: z.number().min(0).max(0.9) })
        .default({ validation: 0, test: 0 }),
      /** Column that says whose row it is. Its keyed hash keeps one person's rows in one part. */
      person: z.string().nullable().default(null),
      /** Column that says which document a row is of; a document stays in one part too. */
      document: z.string().nullable().default(null),
      /** Become the next version where a dataset of this name exists. */
      newVersion: z.boolean().default(false),
      /** Leave out rows that say the same as one before. */
      withoutDuplicates: z.boolean().default(false),
      /** Leave broken rows out and count them. */
      skipBad: z.boolean().default(true),
    }),
    started,
  ),
  'data.list': request(nothing, z.object({ datasets: z.array(datasetShape) })),
  'data.rows': request(
    z.strictObject({ dataset: name, offset: count.default(0), limit: z.int().min(1).max(200).default(50) }),
    z.object({
      total: count,
      columns: z.array(z.string()),
      rows: z.array(z.object({ row: count, part: z.string(), values: z.record(z.string(), z.string()) })),
    }),
  ),
  /** A task of the kind `search`; hits come as events `search` as they are found. */
  'data.search': request(
    z.strictObject({ dataset: name, text: text.min(1), limit: z.int().min(1).max(1000).default(200) }),
    started,
  ),
  /**
   * What withdrawing would delete and which adapters hold something of it; with `confirm` it is done.
   * Fails with `vault.unknown-dataset`.
   */
  'data.withdraw': request(
    z.strictObject({ dataset: name, confirm: z.boolean().default(false) }),
    z.object({
      withdrawn: z.boolean(),
      rows: count,
      /** Runs that wait for it or train on it; they end at this site. */
      runs: z.array(z.string()),
      /** Runs whose adapters have learned from it, with the folder here; they stay, and so do those that the hub has. */
      adapters: z.array(z.object({ run: z.string(), path: z.string().nullable() })),
      /** For people: what is deleted and what cannot be taken back. */
      sentences: z.array(z.string()),
    }),
  ),
  /** Public sets that can be fetched, as `resources/datasets.json` names them. */
  'data.public': request(
    nothing,
    z.object({
      datasets: z.array(
        z.object({
          id: z.string(),
          /** For people. */
          name: z.string(),
          topic: z.enum(PUBLIC_TOPICS),
          licence: z.string(),
          languages: z.array(z.string()),
          /** Kept for measuring, not for training. */
          evaluation: z.boolean(),
          bytes: count,
          /** Null where nobody could check it: it is trusted at first use. */
          sha256: sha256.nullable(),
          /** Where its file lies whole on this machine. */
          path: z.string().nullable(),
        }),
      ),
      /** Where a file may be put by hand. */
      folder: z.string(),
    }),
  ),
  /** A task of the kind `data`, counted in bytes; its result: `{path}`, to be connected as any other file. */
  'data.fetch': request(z.strictObject({ dataset: name }), started),
};
