/** @file What came of it: trying models side by side, votes, adapters and their export. */

import { z } from 'zod';
import { count, done, name, nothing, path, request, started, text, time } from './request.ts';

/** `base`: the model as it came. `local`: trained at this site alone. `federated`: a run's adapter. */
export const variantShape = z.enum(['base', 'local', 'federated']);
export type Variant = z.infer<typeof variantShape>;

const formatShape = z.enum(['peft', 'merged', 'gguf', 'onnx']);

const resultShape = z.object({
  /** What the run is called at this site, or `alone-…`. */
  run: z.string(),
  /** Null for trainings alone and where the site has left it. */
  federation: z.string().nullable(),
  name: z.string(),
  kind: z.enum(['federated', 'local']),
  model: z.object({ id: z.string(), sha256: z.string() }),
  created: time,
  /** Folder of the adapter on this machine. */
  path: z.string(),
  bytes: count,
  rank: z.number(),
  rounds: count.nullable(),
  steps: count.nullable(),
  dataset: z.string().nullable(),
  /** Rows of this site that it has learned from. */
  examples: count.nullable(),
  /** Last loss that this site has seen, on its own rows. */
  loss: z.number().nullable(),
  /** Of the model without it, on the same rows; of trainings alone. */
  baseLoss: z.number().nullable(),
  /** Whether its base model lies on this machine: without it nothing but `peft` can be exported. */
  modelPresent: z.boolean(),
});
export type Result = z.infer<typeof resultShape>;

export const resultRequests = {
  /** What there is to compare: which variants exist and for which model. */
  'try.models': request(
    nothing,
    z.object({
      variants: z.array(
        z.object({
          variant: variantShape,
          /** Null for `base`. */
          run: z.string().nullable(),
          /** Of the run, or of the model for `base`. */
          title: z.string(),
          /** What is compared belongs to one model: its id, or its path where no catalogue has it. */
          model: z.string(),
          created: time.nullable(),
        }),
      ),
    }),
  ),
  /**
   * Answers one prompt with each variant, the same seed for all, one after the other: a task of the kind `generate`
   * whose text comes as events `tokens`; result: `{answers: [{run, text, tokens, tokensPerSecond, finish}]}`.
   */
  'try.generate': request(
    z.strictObject({
      prompt: text.min(1),
      variants: z
        .array(z.strictObject({ run: name.nullable().default(null) }))
        .min(1)
        .max(4),
      /** As `try.models` names it: the one that all variants belong to. */
      model: path,
      maxTokens: z.int().min(1).max(4096).default(128),
      temperature: z.number().min(0).max(5).default(0),
      seed: z.int().min(0).default(0),
    }),
    started,
  ),
  /** Keeps which answer is better than the others, a preference pair for each, in a dataset that is made where there is none. */
  'try.vote': request(
    z.strictObject({
      prompt: text.min(1),
      chosen: text.min(1),
      rejected: z.array(text.min(1)).min(1).max(3),
      dataset: z.string().min(1).max(64).default('votes'),
    }),
    z.object({ dataset: z.string(), rows: count }),
  ),

  /** Newest first. */
  'results.list': request(
    nothing,
    z.object({
      results: z.array(resultShape),
      /** Folder in which exports are proposed to be made. */
      folder: z.string(),
      /** Formats that an adapter can be exported in. */
      formats: z.array(formatShape),
    }),
  ),
  /** A task of the kind `export`; result: `{files: [path]}`. The folder must not exist, or be empty. */
  'results.export': request(z.strictObject({ run: name, format: formatShape, folder: path }), started),
  'results.delete': request(z.strictObject({ run: name }), done),
};
