/** @file What a plan says: its fields with their defaults, limits and meanings. */

import { z } from 'zod';
import { cohortSchema } from './cohort.ts';
import { dataContractSchema } from './data-contract.ts';
import { parseDuration } from './duration.ts';
import { earlyStopSchema, evaluationSchema } from './held-out.ts';
import { CODECS } from './number-formats.ts';
import { blobReferenceShape, runShape } from './shapes.ts';
import { strategySchema } from './strategies/table.ts';

/** The linear layers an adapter may change, in PEFT's words. */
export const ADAPTER_TARGETS = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
] as const;

/** Which matrices of the adapter are trained, and when: see `trainableMatrices`. */
export const ADAPTER_VARIANTS = ['lora', 'ffa', 'rolora', 'fedsa'] as const;

const whole = (minimum: number, maximum: number) => z.int().min(minimum).max(maximum);

const durationSchema = z
  .union([z.number(), z.string()])
  .transform((value, context) => {
    const seconds = typeof value === 'number' ? value : parseDuration(value);
    if (seconds === null || !(seconds >= 1 && seconds <= 2_592_000)) {
      context.addIssue({ code: 'custom', message: 'expected 1s to 30d, such as "90s", "10m" or "2h"' });
      return z.NEVER;
    }
    return seconds;
  })
  .describe(
    'longest time a round may take, as "90s", "10m", "2h" or a number of seconds; the hub counts its uptime',
  );

/** A model by what it is called and by the SHA-256 of its weights file. */
export const modelIdentitySchema = z.strictObject({
  id: z.string().min(1).max(200).describe('catalogue id, or a name for a model outside the catalogue'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'expected 64 hexadecimal digits')
    .describe('SHA-256 of the weights file'),
});
export type ModelIdentity = z.infer<typeof modelIdentitySchema>;

const adapterFields = {
  rank: whole(1, 512).default(8).describe('rank r of the LoRA matrices'),
  alpha: z
    .number()
    .positive()
    .max(10_000)
    .default(16)
    .describe(
      'LoRA alpha; updates are scaled by alpha / rank, or alpha / √rank where they are rank-stabilised',
    ),
  rankStabilized: z
    .boolean()
    .default(false)
    .describe('scale by alpha / √rank (rsLoRA) instead of alpha / rank'),
  dropout: z
    .number()
    .min(0)
    .max(0.9)
    .default(0)
    .describe("share of the adapter's inputs that each training step leaves out; not for dpo"),
  variant: z
    .enum(ADAPTER_VARIANTS)
    .default('lora')
    .describe(
      'what sites train: A and B (lora), B alone, so that averages are exact (ffa), B and A in turns (rolora), or both, ' +
        'of which they share A and keep a B of their own (fedsa)',
    ),
  targets: z
    .union([z.literal('all-linear'), z.array(z.enum(ADAPTER_TARGETS)).min(1)])
    .default('all-linear')
    .describe(`linear layers that get an adapter: "all-linear" or a list of ${ADAPTER_TARGETS.join(', ')}`),
};

const startRun = runShape.describe('a completed run of the same hub');

/** The adapter as a person writes it: it may go on from an earlier run or from a folder. */
const adapterRequestSchema = z.strictObject({
  ...adapterFields,
  start: z
    .strictObject({
      run: startRun.optional(),
      folder: z
        .string()
        .min(1)
        .max(4096)
        .optional()
        .describe(
          'a PEFT folder on the hub’s machine, from the place of the plan’s file; sites fetch what is in it',
        ),
    })
    .optional()
    .describe('what round 0 starts from instead of a fresh adapter; for dpo it is the reference too'),
});

/** The adapter as sites approve it: what it goes on from is pinned by its hash. */
const adapterSchema = z.strictObject({
  ...adapterFields,
  start: blobReferenceShape
    .extend({ run: startRun.optional() })
    .optional()
    .describe('SHA-256 and bytes of the adapter that round 0 starts from'),
});
/** The adapter that a run starts from, as a blob of the hub, and the run that made it if one did. */
export type AdapterStart = NonNullable<z.infer<typeof adapterSchema>['start']>;

const dpoSchema = z.strictObject({
  beta: z
    .number()
    .positive()
    .max(100)
    .default(0.1)
    .describe('strength of the tie to the reference: larger keeps the model closer to it'),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(0.5)
    .default(0)
    .describe('share of pairs that are assumed to be labelled the wrong way round'),
  loss: z.enum(['sigmoid', 'ipo']).default('sigmoid').describe('loss of a pair: sigmoid (DPO) or ipo'),
});

/** Where the cosine of the learning rate ends unless the plan says it (OpenFedLLM's values). */
const MINIMUM_LEARNING_RATES = { sft: 1e-6, dpo: 1e-5 } as const;

const trainingSchema = z.strictObject({
  steps: whole(1, 100_000).default(10).describe('optimiser steps of each site in each round'),
  passes: z
    .number()
    .positive()
    .max(1000)
    .optional()
    .describe(
      'how often a site sees each of its examples over the whole run; its steps a round then follow from how many it ' +
        'has, and `steps` is the most it takes',
    ),
  batchSize: whole(1, 4096).default(4).describe('examples in an optimiser step'),
  maxLength: whole(8, 131_072).default(256).describe('longest example in tokens; longer ones are cut'),
  learningRate: z.number().positive().max(1).default(5e-4).describe('learning rate of round 0'),
  minLearningRate: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'where the cosine over the rounds ends; constant within a round; by default 1e-6 for sft and 1e-5 for dpo, ' +
        'or the learning rate where that is lower',
    ),
  weightDecay: z.number().min(0).max(1).default(0).describe('weight decay of AdamW'),
  maxGradientNorm: z
    .number()
    .positive()
    .max(1e6)
    .default(1)
    .describe('gradients are clipped to this global norm'),
  template: z
    .enum(['chat', 'alpaca', 'vicuna'])
    .default('chat')
    .describe("how an example becomes text: the model's own chat template, or the named one"),
  precision: z
    .enum(['auto', 'f32', 'int8', 'int4'])
    .default('auto')
    .describe('arithmetic of the frozen base weights; with auto each site picks'),
  dpo: dpoSchema.optional().describe('how pairs are weighed; only for the objective dpo, which fills it in'),
});

const federationSchema = z.strictObject({
  strategy: strategySchema.prefault({ name: 'fedavg' }).describe('how updates become the next model'),
  rounds: whole(1, 1_000_000).default(10).describe('number of rounds'),
  minSites: whole(1, 10_000)
    .default(2)
    .describe('approvals needed to start, and updates needed to close a round'),
  minApprovals: whole(1, 10_000)
    .optional()
    .describe('approvals needed to start, where they are more than minSites and the cohort'),
  cohort: cohortSchema.optional(),
  deadline: durationSchema.prefault('10m'),
  late: z
    .strictObject({
      discount: z
        .number()
        .gt(0)
        .max(1)
        .default(0.5)
        .describe('by what the weight of a late update is multiplied'),
    })
    .optional()
    .describe(
      'takes an update that comes after its round into the next round, as a change to that round’s model; without it ' +
        'a late update is dropped',
    ),
  earlyStop: earlyStopSchema
    .optional()
    .describe('ends the run with its best round once scores on held-out rows get no better'),
  codec: z
    .enum(CODECS)
    .default('f32')
    .describe(
      'number format of tensors on the wire; with bf16 and int8 only what has changed travels, and what rounding ' +
        'leaves out travels later',
    ),
  mode: z
    .enum(['inspected', 'private'])
    .default('inspected')
    .describe('whether the hub may see single updates (inspected) or only their sum (private)'),
});

const fields = {
  version: z.literal(1).default(1).describe('version of this schema'),
  name: z.string().trim().min(1).max(100).describe('what people call the run'),
  objective: z
    .enum(['sft', 'dpo'])
    .default('sft')
    .describe('supervised fine-tuning or preference optimisation'),
  seed: whole(0, 0xffff_ffff).default(0).describe('seed of the initial adapter and of the order of examples'),
  training: trainingSchema.prefault({}).describe('local training at a site'),
  federation: federationSchema.prefault({}).describe('rounds and aggregation'),
  evaluation: evaluationSchema
    .optional()
    .describe('rows that sites never train on and score each aggregate with; without it there are none'),
  personal: z
    .strictObject({
      steps: whole(1, 100_000).default(10).describe('optimiser steps of each site’s own copy'),
      learningRate: z
        .number()
        .positive()
        .max(1)
        .optional()
        .describe('learning rate of the own copy; that of round 0 without it'),
    })
    .optional()
    .describe(
      'after the run each site trains a copy of its own of the final adapter on its rows; it never leaves the site',
    ),
  data: dataContractSchema.optional().describe('what every site checks of its rows before it takes part'),
};

type Training = z.infer<typeof trainingSchema>;

/** Fills in the defaults that depend on the objective. A plan that has them already stays as it is. */
function fillIn<P extends { readonly objective: 'sft' | 'dpo'; readonly training: Training }>(
  plan: P,
): P & { training: Training & { minLearningRate: number } } {
  const { objective, training } = plan;
  const { dpo = objective === 'dpo' ? dpoSchema.parse({}) : undefined } = training;
  const lowest = Math.min(MINIMUM_LEARNING_RATES[objective], training.learningRate);
  const { minLearningRate = lowest } = training;
  return { ...plan, training: { ...training, minLearningRate, ...(dpo && { dpo }) } };
}

/** A plan as a person writes it. Defaults are filled in; the model may be a name still. */
export const planRequestSchema = z
  .strictObject({
    ...fields,
    adapter: adapterRequestSchema.prefault({}).describe('shape and start of the adapter'),
    model: z
      .union([z.string().min(1).max(4096), modelIdentitySchema])
      .describe('catalogue id or path of the base model'),
  })
  .transform(fillIn);
export type PlanRequest = z.infer<typeof planRequestSchema>;

/** A plan as sites approve it: the model and what the adapter starts from are pinned by their hashes. */
export const planSchema = z
  .strictObject({
    ...fields,
    adapter: adapterSchema.prefault({}).describe('shape and start of the adapter'),
    model: modelIdentitySchema.describe('the base model'),
  })
  .transform(fillIn);
export type Plan = z.infer<typeof planSchema>;
