/** @file The plan: the declarative description of a run. Data, never code; what sites read and approve. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { canonicalJson, sha256 } from './canonical.ts';
import { describeIssues } from './issues.ts';
import { checkPlan, planProblems } from './plan-checks.ts';
import { invalid } from './plan-problem.ts';
import type { PlanProblem } from './plan-problem.ts';
import { planRequestSchema, planSchema } from './plan-schema.ts';
import type { AdapterStart, ModelIdentity, Plan, PlanRequest } from './plan-schema.ts';

export {
  ADAPTER_TARGETS,
  ADAPTER_VARIANTS,
  modelIdentitySchema,
  planRequestSchema,
  planSchema,
} from './plan-schema.ts';
export type { AdapterStart, ModelIdentity, Plan, PlanRequest } from './plan-schema.ts';
export type { PlanProblem } from './plan-problem.ts';

function parsePlan<P extends PlanRequest | Plan>(schema: z.ZodType<P>, value: unknown): P {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const sentences = describeIssues(parsed.error, value, schema).map(({ sentence }) => sentence);
    throw new TributaryError('plan.invalid', sentences.join(' '));
  }
  checkPlan(parsed.data);
  return parsed.data;
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

/**
 * All that is wrong with a plan, for who is still writing it, and the plan with its defaults where nothing is. Which
 * fields fit together can be said only once each of them can be read.
 */
export function inspectPlan(value: unknown): {
  readonly problems: readonly PlanProblem[];
  readonly plan: PlanRequest | null;
} {
  const parsed = planRequestSchema.safeParse(value);
  if (!parsed.success) {
    const issues = describeIssues(parsed.error, value, planRequestSchema);
    return { problems: issues.map(({ field, sentence }) => invalid(field, sentence)), plan: null };
  }
  const problems = planProblems(parsed.data);
  return { problems, plan: problems.length === 0 ? parsed.data : null };
}

/**
 * Fixes which weights the plan means, and what its adapter starts from, if anything: the hub does this when the run
 * is proposed.
 */
export function pinPlan(request: PlanRequest, model: ModelIdentity, start?: AdapterStart): Plan {
  return parsePlan(planSchema, {
    ...request,
    model,
    adapter: { ...request.adapter, ...(start && { start }) },
  });
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
export function planJsonSchema(): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(planRequestSchema, { io: 'input' });
}

/** The same plan with more rounds. Throws `plan.invalid` where there would be too many. */
export function extendPlan(plan: Plan, rounds: number): Plan {
  return parsePlan(planSchema, { ...plan, federation: { ...plan.federation, rounds } });
}
