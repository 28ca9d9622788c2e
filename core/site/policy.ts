/**
 * @file What a site allows, and the one gate that every plan, every access to a dataset and every outgoing message
 * passes. No hub can widen it. Several policies (the machine's, the site's) each have to allow a thing.
 */

import { readFileSync, statSync } from 'node:fs';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { writeFileAtomically } from '../files.ts';
import type { Message, MessageType } from '../federation/messages.ts';
import type { Plan } from '../federation/plan.ts';
import { METRIC_NAMES } from '../federation/metrics.ts';
import type { Metrics } from '../federation/metrics.ts';
import { hashShape } from '../federation/shapes.ts';

/** Version 1. A field this program does not know refuses the whole policy: it may forbid what we would then do. */
export const policyShape = z.strictObject({
  version: z.literal(1),
  objectives: z
    .array(z.enum(['sft', 'dpo']))
    .default(['sft', 'dpo'])
    .describe('what may be trained'),
  modes: z
    .array(z.enum(['inspected', 'private']))
    .default(['inspected', 'private'])
    .describe('inspected: the hub may see this site’s updates; private: only their sum'),
  models: z
    .array(hashShape)
    .nullable()
    .default(null)
    .describe('SHA-256 of the models that may be trained, or null for any'),
  datasets: z
    .array(z.string())
    .nullable()
    .default(null)
    .describe('datasets that runs may use, or null for any'),
  hubs: z
    .array(z.string())
    .nullable()
    .default(null)
    .describe('addresses of the hubs that may be joined, such as wss://hub.example.org, or null for any'),
  uncheckedCertificates: z
    .boolean()
    .default(false)
    .describe(
      'whether a hub is good enough whose TLS certificate no known authority vouches for; it proves its own key in any case',
    ),
  maxRounds: z.int().min(1).default(1000).describe('rounds of a run at most'),
  maxSteps: z.int().min(1).default(10_000).describe('optimiser steps of a round at most'),
  minSites: z.int().min(1).default(2).describe('sites that a round must at least average over'),
  minExamples: z.int().min(1).default(8).describe('rows that a dataset must at least have to be trained on'),
  rehearsals: z
    .boolean()
    .default(true)
    .describe('whether a plan may be measured here before it runs, with a person’s approval as for a run'),
  maxUpdateBytes: z.int().min(1).default(1_073_741_824).describe('size of an update at most'),
  maxFolderBytes: z
    .int()
    .min(1)
    .default(1_099_511_627_776)
    .describe('bytes that the folder of this site may take on the disk'),
  metrics: z
    .array(z.string())
    .default([...METRIC_NAMES])
    .describe('numbers that may leave beside the loss and the count of examples; others are left out'),
});
export type Policy = z.infer<typeof policyShape>;

/** What a policy says where it says nothing. */
export const DEFAULT_POLICY: Policy = policyShape.parse({ version: 1 });

/** What is asked of the gate. */
export type GateRequest =
  | { readonly kind: 'hub'; readonly urls: readonly string[] }
  | { readonly kind: 'plan'; readonly plan: Plan }
  | { readonly kind: 'rehearsal'; readonly plan: Plan }
  | { readonly kind: 'dataset'; readonly dataset: string; readonly examples: number }
  /** What the folder would take, in bytes. */
  | { readonly kind: 'folder'; readonly bytes: number }
  | { readonly kind: 'message'; readonly message: Message };

/** Messages a site has any reason to send. */
const outgoing: ReadonlySet<MessageType> = new Set<MessageType>([
  'hello',
  'refuse',
  'heartbeat',
  'approval',
  'decline',
  'progress',
  'trouble',
  'score',
  'rehearsed',
  'update',
  'countersign',
  'rotate-keys',
  'blob-want',
  'blob-info',
  'blob-chunk',
  'blob-ack',
  'blob-offer',
  'blob-done',
  'blob-fail',
]);

/** The gate. Returns when every policy allows the request; otherwise throws a `policy.*` error that says why not. */
export function passGate(policies: readonly Policy[], request: GateRequest): void {
  for (const policy of policies) {
    if (request.kind === 'hub') checkHub(policy, request.urls);
    else if (request.kind === 'plan') checkPlan(policy, request.plan);
    else if (request.kind === 'rehearsal') checkRehearsal(policy, request.plan);
    else if (request.kind === 'dataset') checkDataset(policy, request.dataset, request.examples);
    else if (request.kind === 'folder') checkFolder(policy, request.bytes);
    else checkMessage(policy, request.message);
  }
}

/** Each address of a hub has to be one that is allowed: a site takes whichever answers. */
function checkHub({ hubs }: Policy, urls: readonly string[]): void {
  const allowed = hubs?.map((url) => new URL(url).origin);
  const other = urls.find((url) => allowed?.includes(new URL(url).origin) === false);
  if (other === undefined) return;
  throw new TributaryError('policy.hub', `The policy of this site does not allow the hub ${other}.`);
}

function checkPlan(policy: Policy, { objective, training, federation, model, personal }: Plan): void {
  const { rounds, minSites, mode } = federation;
  if (!policy.objectives.includes(objective)) {
    throw refusal('policy.objective', `trains with the objective ${objective}`, policy.objectives.join(', '));
  }
  if (!policy.modes.includes(mode)) {
    throw refusal('policy.mode', `runs in ${mode} mode`, policy.modes.join(', '));
  }
  if (policy.models !== null && !policy.models.includes(model.sha256)) {
    throw refusal(
      'policy.model',
      `trains the model ${model.id} (${model.sha256.slice(0, 16)}…)`,
      'its own list',
    );
  }
  if (rounds > policy.maxRounds) {
    throw refusal('policy.rounds', `has ${rounds} rounds`, `at most ${policy.maxRounds}`);
  }
  if (training.steps > policy.maxSteps) {
    throw refusal('policy.steps', `has ${training.steps} steps a round`, `at most ${policy.maxSteps}`);
  }
  if (personal !== undefined && personal.steps > policy.maxSteps) {
    throw refusal('policy.steps', `has ${personal.steps} steps after it`, `at most ${policy.maxSteps}`);
  }
  if (minSites < policy.minSites) {
    throw refusal('policy.min-sites', `may average over ${minSites} sites`, `at least ${policy.minSites}`);
  }
}

function checkRehearsal(policy: Policy, plan: Plan): void {
  if (!policy.rehearsals) {
    throw new TributaryError('policy.rehearsal', 'The policy of this site allows no rehearsals.');
  }
  checkPlan(policy, plan);
}

function checkDataset(policy: Policy, dataset: string, examples: number): void {
  if (policy.datasets !== null && !policy.datasets.includes(dataset)) {
    throw refusal('policy.dataset', `would use the dataset ${dataset}`, policy.datasets.join(', '));
  }
  if (examples < policy.minExamples) {
    const found = `would use ${examples} examples of the dataset ${dataset}`;
    throw refusal('policy.examples', found, `at least ${policy.minExamples}`);
  }
}

function checkFolder({ maxFolderBytes }: Policy, bytes: number): void {
  if (bytes <= maxFolderBytes) return;
  const what = `The folder of this site would take ${bytes} bytes; its policy allows ${maxFolderBytes}.`;
  throw new TributaryError('policy.folder-size', what);
}

function checkMessage(policy: Policy, message: Message): void {
  if (!outgoing.has(message.type)) {
    throw new TributaryError('policy.message', `A site never sends ${message.type}.`);
  }
  if (message.type === 'rehearsed' && message.measured !== undefined && !policy.rehearsals) {
    throw new TributaryError('policy.message', 'What a rehearsal has measured may not leave this machine.');
  }
  if (message.type !== 'update' && message.type !== 'score') return;
  const metric = Object.keys(message.metrics).find((name) => !policy.metrics.includes(name));
  if (metric !== undefined) {
    throw new TributaryError('policy.message', `The metric ${metric} may not leave this machine.`);
  }
  if (message.type === 'update' && message.blob.size > policy.maxUpdateBytes) {
    throw refusal(
      'policy.update-size',
      `makes updates of ${message.blob.size} bytes`,
      `${policy.maxUpdateBytes}`,
    );
  }
}

/** Whether every policy does without a hub's certificate. */
export function mayBeUnchecked(policies: readonly Policy[]): boolean {
  return policies.every(({ uncheckedCertificates }) => uncheckedCertificates);
}

/** Those of an update's metrics that every policy lets leave. */
export function metricsThatMayLeave(policies: readonly Policy[], metrics: Metrics): Metrics {
  const entries = Object.entries(metrics);
  return Object.fromEntries(
    entries.filter(([name]) => policies.every((each) => each.metrics.includes(name))),
  );
}

type PolicyCode = Extract<TributaryError['code'], `policy.${string}`>;

function refusal(code: PolicyCode, found: string, allowed: string): TributaryError {
  return new TributaryError(code, `The run ${found}; this site’s policy allows ${allowed}.`);
}

/** Policy files as they were read last: the gate asks for them with every chunk that leaves. */
const lastRead = new Map<string, { readonly version: string; readonly policy: Policy }>();

/**
 * Reads a policy file, again whenever it was written or replaced; absent means the defaults. Throws `policy.invalid`,
 * also for unknown fields.
 */
export function readPolicy(path: string): Policy {
  const file = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (file === undefined) return DEFAULT_POLICY;
  // The time of change is the system's own: nobody can set it back, as they can that of the last writing.
  const version = [file.dev, file.ino, file.size, file.mtimeNs, file.ctimeNs].join();
  const known = lastRead.get(path);
  if (known?.version === version) return known.policy;
  const policy = parsePolicy(readFileSync(path, 'utf8'), path);
  lastRead.set(path, { version, policy });
  return policy;
}

/** Checks a policy's text; `path` names it in the message. */
export function parsePolicy(text: string, path: string): Policy {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TributaryError('policy.invalid', `The policy ${path} is not JSON.`, { cause });
  }
  const parsed = policyShape.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue.path.length > 0 ? ` at ${issue.path.join('.')}` : '';
  throw new TributaryError('policy.invalid', `The policy ${path} is wrong${where}: ${issue.message}.`);
}

/** Writes a policy, every field spelled out. */
export async function writePolicy(path: string, policy: Policy): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(policyShape.parse(policy), null, 2)}\n`);
}
