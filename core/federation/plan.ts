/** @file The plan: the declarative description of a run. Data, never code; what sites read and approve. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { canonicalJson, sha256 } from './canonical.ts';
import { parseDuration } from './duration.ts';
import { describeIssues } from './issues.ts';
import { STRATEGIES, strategySchema } from './strategies/table.ts';

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

const adapterSchema = z.strictObject({
  rank: whole(1, 512).default(8).describe('rank r of the LoRA matrices'),
  alpha: z
    .number()
    .positive()
    .max(10_000)
    .default(16)
    .describe('LoRA alpha; updates are scaled by alpha / rank'),
  targets: z
    .union([z.literal('all-linear'), z.array(z.enum(ADAPTER_TARGETS)).min(1)])
    .default('all-linear')
    .describe(`linear layers that get an adapter: "all-linear" or a list of ${ADAPTER_TARGETS.join(', ')}`),
});

const trainingSchema = z.strictObject({
  steps: whole(1, 100_000).default(10).describe('optimiser steps of each site in each round'),
  batchSize: whole(1, 4096).default(4).describe('examples in an optimiser step'),
  maxLength: whole(8, 131_072).default(256).describe('longest example in tokens; longer ones are cut'),
  learningRate: z.number().positive().max(1).default(5e-4).describe('learning rate of round 0'),
  minLearningRate: z
    .number()
    .min(0)
    .max(1)
    .default(1e-6)
    .describe('where the cosine over the rounds ends; constant within a round'),
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
    .enum(['auto', 'f32', 'int4'])
    .default('auto')
    .describe('arithmetic of the frozen base weights; with auto each site picks'),
});

const federationSchema = z.strictObject({
  strategy: strategySchema.prefault({ name: 'fedavg' }).describe('how updates become the next model'),
  rounds: whole(1, 1_000_000).default(10).describe('number of rounds'),
  minSites: whole(1, 10_000)
    .default(2)
    .describe('approvals needed to start, and updates needed to close a round'),
  deadline: durationSchema.prefault('10m'),
  codec: z.enum(['f32', 'bf16', 'int8']).default('f32').describe('number format of tensors on the wire'),
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
  adapter: adapterSchema.prefault({}).describe('shape of the adapter'),
  training: trainingSchema.prefault({}).describe('local training at a site'),
  federation: federationSchema.prefault({}).describe('rounds and aggregation'),
};

/** A plan as a person writes it. Defaults are filled in; the model may be a name still. */
export const planRequestSchema = z.strictObject({
  ...fields,
  model: z
    .union([z.string().min(1).max(4096), modelIdentitySchema])
    .describe('catalogue id or path of the base model'),
});
export type PlanRequest = z.infer<typeof planRequestSchema>;

/** A plan as sites approve it: the model is pinned by its hash. */
export const planSchema = z.strictObject({
  ...fields,
  model: modelIdentitySchema.describe('the base model'),
});
export type Plan = z.infer<typeof planSchema>;

/** Checks what a single field cannot say and refuses what this version cannot do. */
function checkPlan<P extends PlanRequest>(plan: P): P {
  const { training, federation, adapter } = plan;
  if (training.minLearningRate > training.learningRate) {
    throw new TributaryError(
      'plan.invalid',
      `training.minLearningRate is ${training.minLearningRate}, above training.learningRate ${training.learningRate}; the learning rate falls over the rounds.`,
    );
  }
  if (Array.isArray(adapter.targets) && new Set(adapter.targets).size < adapter.targets.length) {
    throw new TributaryError(
      'plan.invalid',
      `adapter.targets names a layer twice: ${adapter.targets.join(', ')}.`,
    );
  }
  const { strategy, codec, mode } = federation;
  if (plan.objective !== 'sft') throw unsupported('objective', plan.objective, ['sft']);
  if (mode !== 'inspected') throw unsupported('federation.mode', mode, ['inspected']);
  if (codec !== 'f32') throw unsupported('federation.codec', codec, ['f32']);
  if (STRATEGIES[strategy.name].client !== 'plain') {
    throw unsupported('federation.strategy.name', strategy.name, supportedStrategies());
  }
  return plan;
}

function supportedStrategies(): string[] {
  return Object.entries(STRATEGIES)
    .filter(([, definition]) => definition.client === 'plain')
    .map(([name]) => name);
}

function unsupported(field: string, found: string, supported: readonly string[]): TributaryError {
  return new TributaryError(
    'plan.unsupported',
    `${field} is "${found}", which this version does not do yet; it does ${supported.join(', ')}.`,
  );
}

function parsePlan<S extends z.ZodType<PlanRequest>>(schema: S, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new TributaryError('plan.invalid', describeIssues(parsed.error, value, schema));
  return checkPlan(parsed.data);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TributaryError('plan.invalid', `The plan is not JSON: ${reason}.`, { cause });
  }
}

/**
 * Reads a plan from JSON text and fills in every default. Throws TributaryError `plan.invalid`, naming each field
 * with what was found and what is allowed, or `plan.unsupported`.
 */
export function readPlan(text: string): PlanRequest {
  return parsePlan(planRequestSchema, parseJson(text));
}

/** Fixes which weights the plan means: the hub does this when the run is proposed. */
export function pinPlan(request: PlanRequest, model: ModelIdentity): Plan {
  return parsePlan(planSchema, { ...request, model });
}

/** The text that travels and is hashed: canonical JSON of the plan with every default written out. */
export function encodePlan(plan: Plan): string {
  return canonicalJson(plan);
}

/** SHA-256 of the canonical text, lower-case hexadecimal: what a site approves. */
export function planHash(plan: Plan): string {
  return sha256(encodePlan(plan));
}

/**
 * Reads a plan that came in a proposal. Throws TributaryError `plan.hash-mismatch` if the text is not the one the
 * hash was made of, and `plan.invalid` or `plan.unsupported` as `readPlan` does.
 */
export function openPlan(text: string, hash: string): Plan {
  const found = sha256(text);
  if (found !== hash) {
    throw new TributaryError('plan.hash-mismatch', `The plan's hash is ${found}, but ${hash} was announced.`);
  }
  return parsePlan(planSchema, parseJson(text));
}

/** JSON Schema of a plan as a person writes it, with descriptions and defaults. */
export function planJsonSchema(): unknown {
  return z.toJSONSchema(planRequestSchema, { io: 'input' });
}
