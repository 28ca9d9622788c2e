/** @file The federated half of the demonstration: a hub and its sites as processes, from nothing to an adapter. */

import { join } from 'node:path';

import { z } from 'zod';
import { TributaryError } from '../../../core/errors.ts';
import type { Institution } from './institutions.ts';
import { command, daemon, type Daemon, type Line } from './processes.ts';

export interface Round {
  readonly round: number;
  readonly loss: number;
  /** Of pairs, while they were trained on: the share whose chosen answer is ahead, and by how much. */
  readonly accuracy?: number;
  readonly margin?: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly seconds: number;
  /** Sites whose updates counted. */
  readonly cohort: readonly string[];
}

export interface FederatedResult {
  readonly rounds: readonly Round[];
  /** Bytes that each site sent, by name. */
  readonly sent: ReadonlyMap<string, number>;
  /** Folder of the adapter. */
  readonly adapter: string;
  readonly ledger: { readonly entries: number; readonly verified: boolean };
}

export interface Watcher {
  say(text: string): void;
  /** A process of the demonstration has started, or has been started again. */
  process(name: string, pid: number | undefined): void;
  round(round: Round): void;
  /** Share of the run that is done, 0 to 1. */
  progress(share: number, detail: string): void;
}

const roundSchema = z
  .object({
    round: z.number(),
    loss: z.number(),
    metrics: z.object({
      preferenceAccuracy: z.number().optional(),
      preferenceMargin: z.number().optional(),
    }),
    bytesUp: z.number(),
    bytesDown: z.number(),
    seconds: z.number(),
    cohort: z.array(z.string()),
  })
  .transform(({ round, loss, metrics, ...rest }): Round => {
    const { preferenceAccuracy: accuracy, preferenceMargin: margin } = metrics;
    return { round, loss, ...(accuracy !== undefined && { accuracy, margin }), ...rest };
  });
const stateSchema = z.looseObject({
  round: z.number().nullable(),
  step: z.number().nullable(),
  steps: z.number().nullable(),
});

const endSchema = z.looseObject({ run: z.string(), state: z.string(), reason: z.string() });
const sentSchema = z.looseObject({ bytes: z.number() });
const ledgerSchema = z.object({ entries: z.number(), verified: z.boolean() });

/**
 * Runs the plan with the institutions as sites. Rows stay in their site's folder; a site that dies is started again.
 * @param options.plan a plan's file with `rounds` rounds
 */
export async function runFederation(options: {
  readonly folder: string;
  readonly plan: string;
  /** Catalogue id or path. */
  readonly model: string;
  readonly rounds: number;
  readonly sites: readonly Pick<Institution, 'name' | 'train'>[];
  /** File of a policy in place of the default one. */
  readonly policy?: string;
  /** PEFT folder that round 0 starts from. */
  readonly start?: string;
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly watcher: Watcher;
}): Promise<FederatedResult> {
  const { folder, sites, watcher, signal } = options;
  const hubFolder = join(folder, 'hub');
  const siteFolder = (name: string) => join(folder, 'sites', name);
  const daemons: Daemon[] = [];
  const rounds: Round[] = [];
  const positions = new Map<string, number>();
  let fail: (error: Error) => void = () => undefined;
  /** Rejects when a process has ended for good, or when the person interrupts. */
  const failure = new Promise<never>((_, reject) => (fail = reject));
  failure.catch(() => undefined);
  const onAbort = () => fail(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const run = (...words: readonly string[]) => Promise.race([command(...words), failure]);
  const start = (name: string, words: readonly string[], line: (line: Line) => void) =>
    daemons.push(
      daemon(words, {
        line,
        started: (pid) => watcher.process(name, pid),
        died: (how) => watcher.say(`${name} has died (${how}) and is started again.`),
        ended: fail,
      }),
    );

  function onSite(name: string, line: Line): void {
    const { round, step, steps } = stateSchema.safeParse(line).data ?? {};
    if (typeof round !== 'number' || typeof step !== 'number' || !steps) return;
    positions.set(name, Math.max(positions.get(name) ?? 0, (round + step / steps) / options.rounds));
    const share = [...positions.values()].reduce((sum, value) => sum + value, 0) / sites.length;
    watcher.progress(share, `round ${round + 1} of ${options.rounds}`);
  }

  async function admit({ name, train }: Pick<Institution, 'name' | 'train'>): Promise<void> {
    const dir = siteFolder(name);
    const { invitation } = await run('hub', 'invite', '--dir', hubFolder, '--site', name);
    await run('site', 'join', z.string().parse(invitation), '--dir', dir, '--name', name);
    if (options.policy !== undefined) await run('site', 'policy', '--dir', dir, '--set', options.policy);
    await run('site', 'data', 'import', train, '--dir', dir, '--as', 'rows');
    await run('site', 'approve', '--dir', dir, '--standing', '--dataset', 'rows');
    // All sites share this machine, and are compared with training that runs on its processor.
    const settings = ['--model', options.model, '--device', 'cpu', '--threads', String(options.threads)];
    start(name, ['site', 'start', '--dir', dir, ...settings], (line) => onSite(name, line));
  }

  try {
    await run('hub', 'init', '--dir', hubFolder, '--name', 'Demonstration');
    let listening: () => void = () => undefined;
    let ended: (line: Line) => void = () => undefined;
    const isListening = new Promise<void>((resolve) => (listening = resolve));
    const hasEnded = new Promise<Line>((resolve) => (ended = resolve));
    start('hub', ['hub', 'start', '--dir', hubFolder], (line) => {
      if (line.type === 'listening') listening();
      if (line.type === 'ended') ended(line);
      if (line.type !== 'round') return;
      const round = roundSchema.parse(line);
      rounds.push(round);
      watcher.round(round);
    });
    await Promise.race([isListening, failure]);
    for (const site of sites) await admit(site);
    const from = options.start === undefined ? [] : ['--start', options.start];
    await run('hub', 'propose', options.plan, '--dir', hubFolder, ...from);
    const end = endSchema.parse(await Promise.race([hasEnded, failure]));
    if (end.state !== 'completed') {
      throw new TributaryError('demo.run-ended', `The run is ${end.state}: ${end.reason}`);
    }
    const adapter = join(folder, 'adapter');
    await run('hub', 'export', '--dir', hubFolder, '--run', end.run, '--out', adapter);
    const sent = new Map<string, number>();
    for (const { name } of sites) {
      const { leftThisMachine } = await run('site', 'status', '--dir', siteFolder(name));
      sent.set(name, sentSchema.parse(leftThisMachine).bytes);
    }
    for (const running of daemons.splice(0).reverse()) await running.stop();
    return { rounds, sent, adapter, ledger: ledgerSchema.parse(await run('audit', 'verify', hubFolder)) };
  } finally {
    signal.removeEventListener('abort', onAbort);
    await Promise.all(daemons.map((running) => running.stop()));
  }
}
