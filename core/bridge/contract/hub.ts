/** @file The hub's window: members, invitations, plans, runs and their rounds. */

import { z } from 'zod';
import { count, done, name, nothing, path, problem, request, text, time } from './request.ts';

const siteOfRun = z.object({
  name: z.string(),
  state: z.enum([
    'asked',
    'declined',
    'excluded',
    'approved',
    'away',
    'not-drawn',
    'fetching',
    'training',
    'sending',
    'sent',
    'refused',
    'scoring',
    'revoked',
    'done',
  ]),
  /** What it waits for or why it is no part of the round; empty where nothing is to be said. */
  reason: z.string(),
  connected: z.boolean(),
  since: time.nullable(),
  step: count.nullable(),
  steps: count.nullable(),
});

/** As `hub status` says it; `core/hub/status.ts` explains the fields. */
export const hubRunShape = z.object({
  id: z.string(),
  name: z.string(),
  planHash: z.string(),
  state: z.enum(['proposed', 'running', 'paused', 'completed', 'failed', 'cancelled']),
  /** From 0; null before the run has started. */
  round: count.nullable(),
  rounds: count,
  phase: z.enum(['approving', 'collecting', 'waiting', 'closing', 'scoring', 'holding', 'ended']),
  reason: z.string(),
  secondsLeft: z.number().nullable(),
  sites: z.array(siteOfRun),
  /** The closed round that scored best on held-out rows so far, from 0. */
  best: count.nullable(),
  /** Closed rounds. */
  history: z.array(
    z.object({
      round: count,
      loss: z.number().nullable(),
      metrics: z.record(z.string(), z.number().optional()),
      score: z.object({ metrics: z.record(z.string(), z.number().optional()), examples: count }).nullable(),
      bytesUp: count,
      bytesDown: count,
      seconds: z.number(),
      /** Seconds of each phase. */
      phases: z.record(z.string(), z.number()),
      cohort: z.array(z.string()),
      sites: z.array(z.object({ name: z.string(), bytesUp: count, bytesDown: count })),
    }),
  ),
});
export type HubRun = z.infer<typeof hubRunShape>;

export const hubStatusShape = z.object({
  federation: z.string(),
  /** Addresses that invitations carry; empty where none is known yet. */
  urls: z.array(z.string()),
  fingerprint: z.string(),
  /** The keys have changed, and those before are still answered to. */
  formerKeys: z.boolean(),
  running: z.boolean(),
  sites: z.object({ members: count, connected: count }),
  runs: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      state: z.string(),
      round: count.nullable(),
      rounds: count,
      phase: z.string(),
      reason: z.string(),
    }),
  ),
});
export type HubStatus = z.infer<typeof hubStatusShape>;

/** A plan as a person writes it; `core/federation/plan-schema.ts` has the fields. */
const planValue = z.record(z.string(), z.json());

const planProblem = z.object({
  /** Path of the field, such as `training.steps`; empty where it is about several. */
  field: z.string(),
  message: z.string(),
});

const siteBytes = z.object({ up: count, down: count });
/** As `hub propose --rehearse` says it; `core/hub/forecast.ts` explains the fields. */
const rehearsalShape = z.object({
  settled: z.boolean(),
  sites: z.array(
    z.object({
      name: z.string(),
      state: z.enum(['measured', 'refused', 'measuring', 'waiting', 'asked', 'silent', 'away']),
      reason: z.string(),
      contract: z.object({ fits: z.boolean(), parts: z.array(z.string()).readonly() }).nullable(),
      examples: count.nullable(),
      memory: z.object({ bytes: count, limit: count, fits: z.boolean() }).nullable(),
      secondsPerRound: z.number().nullable(),
      tokensPerSecond: z.number().nullable(),
    }),
  ),
  forecast: z.object({
    sites: count,
    needed: count,
    secondsPerRound: z.number().nullable(),
    seconds: z.number().nullable(),
    deadline: z.number(),
    tooSlow: z.array(z.string()).readonly(),
    bytesPerRound: z.object({ perSite: siteBytes, all: count }),
    bytes: siteBytes.extend({ all: count }),
  }),
});

export const hubRequests = {
  'hub.status': request(nothing, hubStatusShape),
  'hub.sites': request(
    nothing,
    z.object({
      sites: z.array(
        z.object({
          name: z.string(),
          connected: z.boolean(),
          joined: time,
          revoked: time.nullable(),
          /** Of its keys, to compare with what the site shows. */
          fingerprint: z.string(),
          /** What it does in open runs, and why it is not further. */
          runs: z.array(siteOfRun.extend({ run: z.string() })),
        }),
      ),
    }),
  ),
  /** The line is given once and never shown again; `qr` is an image `data:` address of the same line. */
  'hub.invite': request(
    z.strictObject({
      site: z.string().max(64).optional(),
      /** Another device takes the place of that member's. */
      replace: z.boolean().default(false),
      seconds: z.number().positive().max(31_536_000).default(604_800),
    }),
    z.object({
      invitation: z.string(),
      link: z.string(),
      qr: z.string(),
      expires: time,
      fingerprint: z.string(),
    }),
  ),
  /** Invitations so far, newest first, without their secrets. */
  'hub.invitations': request(
    nothing,
    z.object({
      invitations: z.array(
        z.object({
          id: z.string(),
          site: z.string().nullable(),
          /** Whether another device is to take the place of the site's. */
          replaces: z.boolean(),
          expires: time,
          state: z.enum(['open', 'used', 'expired']),
          usedBy: z.string().nullable(),
        }),
      ),
    }),
  ),
  'hub.revoke': request(z.strictObject({ site: name }), done),

  /** JSON Schema of a plan: types, limits, defaults and, as `description`, what each field means. */
  'hub.plan.schema': request(nothing, z.object({ schema: z.record(z.string(), z.json()) })),
  'hub.plan.presets': request(
    nothing,
    z.object({
      presets: z.array(z.object({ id: z.string(), title: z.string(), about: z.string(), plan: planValue })),
    }),
  ),
  /** All that is wrong with a plan, field by field; and the plan with its defaults where nothing is. */
  'hub.plan.check': request(
    z.strictObject({ plan: planValue }),
    z.object({ problems: z.array(planProblem), plan: planValue.nullable() }),
  ),
  'hub.propose': request(
    z.strictObject({ plan: planValue }),
    z.object({ run: z.string(), planHash: z.string() }),
  ),
  /** Has the sites measure a plan, which stays unproposed. */
  'hub.rehearse': request(z.strictObject({ plan: planValue }), z.object({ rehearsal: z.string() })),
  /** What they have measured so far; ask again while it is not settled or sites wait for a person. */
  'hub.rehearsal': request(z.strictObject({ rehearsal: name }), rehearsalShape),
  'hub.runs': request(nothing, z.object({ runs: z.array(hubRunShape) })),
  'hub.run': request(z.strictObject({ run: name }), z.object({ run: hubRunShape, plan: planValue })),
  'hub.control': request(
    z.strictObject({
      run: name,
      action: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('pause'), reason: text.max(500).default('') }),
        z.strictObject({ kind: z.literal('resume') }),
        z.strictObject({ kind: z.literal('stop'), reason: text.max(500).default('') }),
        z.strictObject({
          kind: z.literal('extend'),
          rounds: z.int().min(1).max(1_000_000).optional(),
          /** Seconds of a round at most. */
          deadline: z.number().min(1).max(2_592_000).optional(),
        }),
      ]),
    }),
    done,
  ),
  /** Writes a run's adapter as a PEFT folder. `round` counts from 1. */
  'hub.export': request(
    z.strictObject({
      run: name,
      folder: path,
      round: z.union([z.enum(['best', 'last']), z.int().min(1)]).default('last'),
    }),
    z.object({ folder: z.string(), round: count }),
  ),
  'hub.problems': request(nothing, z.object({ problems: z.array(problem) })),
};
