/** @file A federation of real processes that are killed at named points and started again. */

import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import { askControl } from '../../core/control.ts';
import { TributaryError } from '../../core/errors.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import type { PlanRequest } from '../../core/federation/plan.ts';
import { programPath } from '../../core/programs.ts';
import { initHub } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import type { OfficeCommand, OfficeRequest, OfficeResult } from '../../core/hub/office.ts';
import type { RunStatus } from '../../core/hub/status.ts';
import { askSite } from '../../core/site/ask.ts';
import { smallIdentity, smallModel } from '../helpers/federation.ts';

/** A passage of a point at which one party dies, such as `close-round:after 2`. */
export type Crash = string;

const scratch: string[] = [];

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-chaos-'));
  scratch.push(folder);
  return folder;
}

export function removeFolders(): void {
  for (const folder of scratch.splice(0)) rmSync(folder, { recursive: true, force: true });
}

type Line = Readonly<Record<string, unknown>> & { readonly type?: string };

/** A process of `test/chaos/process.ts`; `died` says whether it was killed. Rejects when it fails otherwise. */
export function run(words: readonly string[], crash?: Crash): Promise<{ died: boolean; lines: Line[] }> {
  const child = spawn(process.execPath, [programPath('test/chaos'), ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TRIBUTARY_TEST_CRASH: crash },
  });
  const lines: Line[] = [];
  let errors = '';
  createInterface({ input: child.stdout }).on('line', (text) => lines.push(JSON.parse(text) as Line));
  child.stderr.on('data', (text: Buffer) => (errors += text.toString('utf8')));
  return new Promise((resolve, reject) => {
    child.on('close', (status, signal) => {
      if (status === 0 || signal === 'SIGKILL') resolve({ died: signal === 'SIGKILL', lines });
      else reject(new Error(`${words.join(' ')} ended with ${status}: ${errors}`));
    });
  });
}

/** A process that goes on, and is started again after each of its deaths. */
export interface Daemon {
  /** Resolves when the process has died at every point it was to die at. */
  readonly crashed: Promise<void>;
  /** Ends it by SIGTERM and waits for its end. */
  readonly stop: () => Promise<void>;
  readonly kill: (signal: NodeJS.Signals) => void;
}

export interface DaemonOptions {
  /** One for each life, in order; the life after the last one goes on undisturbed. */
  readonly crashes?: readonly Crash[];
  /** Told after each death, before the next life begins. */
  readonly onDeath?: () => void;
  readonly environment?: Readonly<Record<string, string>>;
}

export function daemon(words: readonly string[], options: DaemonOptions = {}): Daemon {
  const { crashes = [], onDeath, environment } = options;
  let deaths = 0;
  let stopping = false;
  let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const crashed = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
  crashed.catch(() => undefined); // told to whoever waits for it
  if (crashes.length === 0) settle?.resolve();
  let child = launch();

  function launch() {
    const crash = crashes.at(deaths);
    const life = spawn(process.execPath, [programPath('test/chaos'), ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...environment, TRIBUTARY_TEST_CRASH: crash },
    });
    let errors = '';
    life.stderr.on('data', (text: Buffer) => (errors += text.toString('utf8')));
    life.on('close', (status, signal) => {
      if (stopping) return;
      if (crash === undefined || signal !== 'SIGKILL') {
        settle?.reject(new Error(`${words.join(' ')} ended with ${signal ?? status}: ${errors}`));
        return;
      }
      onDeath?.();
      deaths += 1;
      child = launch();
      if (deaths === crashes.length) settle?.resolve();
    });
    return life;
  }

  return {
    crashed,
    kill: (signal) => void child.kill(signal),
    stop: async () => {
      stopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
      child.kill('SIGTERM');
      await closed;
    },
  };
}

export const SITES = ['east', 'north', 'south', 'west'] as const;
export type SiteName = (typeof SITES)[number];

/** Puts rows into a site's vault and lets it approve every plan. */
export async function prepareSite(folder: string, invitation: string, name: string): Promise<void> {
  const options = { folder, software: 'tributary chaos' };
  const rows = join(folder, 'rows.jsonl');
  mkdirSync(folder, { recursive: true });
  const count = 8 + name.length;
  const line = (index: number): string =>
    JSON.stringify({ instruction: `Question ${index} of ${name}?`, response: `Answer ${index}.` });
  writeFileSync(rows, Array.from({ length: count }, (_, index) => line(index)).join('\n'));
  await askSite(options, 'import', { file: rows, as: 'rows' });
  await askSite(options, 'join', { invitation, name });
  await askSite(options, 'approve', { standing: true, dataset: 'rows' });
}

/** A hub and sites that have joined it and run no more, each in its folder below the one returned. */
export async function makeTemplate(names: readonly string[] = SITES): Promise<string> {
  const root = temporaryFolder();
  const folder = join(root, 'hub');
  await initHub({ folder, name: 'clinics' });
  const hub = await startHub({ folder });
  for (const name of names) {
    const { invitation } = await hub.ask('invite', { site: name });
    await prepareSite(join(root, name), invitation, name);
  }
  await hub.stop();
  return root;
}

/** A copy of a folder, for one test. */
export function copyOf(template: string): string {
  const root = temporaryFolder();
  cpSync(template, root, { recursive: true });
  return root;
}

/** Asks the hub's process, again after each of its deaths. */
export async function tell<C extends OfficeCommand>(
  hub: string,
  command: C,
  request: OfficeRequest<C>,
): Promise<OfficeResult<C>> {
  for (;;) {
    try {
      return (await askControl(hub, { ...(request as object), command })) as OfficeResult<C>;
    } catch (error) {
      if (!(error instanceof TributaryError) || error.code !== 'folder.not-running') throw error;
      await pause();
    }
  }
}

/** Asks a site's process, again after each of its deaths and until it knows the run. */
export async function tellSite(folder: string, command: string, request: object): Promise<unknown> {
  for (;;) {
    try {
      return await askControl(folder, { ...request, command });
    } catch (error) {
      const code = error instanceof TributaryError ? error.code : '';
      if (code !== 'folder.not-running' && code !== 'site.unknown-run') throw error;
      await pause();
    }
  }
}

export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

/** Proposes a run unless a death has left it proposed; returns its id. */
export async function propose(hub: string, plan: PlanRequest): Promise<string> {
  const { runs } = await tell(hub, 'runs', {});
  const known = runs.find(({ name }) => name === plan.name);
  if (known !== undefined) return known.id;
  try {
    const request = { plan, model: smallIdentity, configuration: smallModel, command: 'propose' };
    return ((await askControl(hub, request)) as { run: string }).run;
  } catch (error) {
    if (!(error instanceof TributaryError) || error.code !== 'folder.not-running') throw error;
    await pause();
    return propose(hub, plan);
  }
}

/** Resolves with the status of a run as soon as it fits. */
export async function statusOf(
  hub: string,
  run: string,
  fits: (status: RunStatus) => boolean,
): Promise<RunStatus> {
  for (;;) {
    const status = (await tell(hub, 'status', {})).runs.find(({ id }) => id === run);
    if (status !== undefined && fits(status)) return status;
    await pause();
  }
}

/** The hash of the adapter that a site has kept of a run, as soon as it is there. */
export async function keptAdapter(site: string, run: string): Promise<string> {
  const file = join(site, `${run}.adapter`);
  while (!existsSync(file)) await pause();
  return readFileSync(file, 'utf8');
}

/** What the hub's ledger says of a run: the aggregates by round, and every update that counted, once each. */
export async function record(hub: string, run: string): Promise<{ aggregates: string[]; updates: string[] }> {
  const out = join(hub, 'ledger.jsonl');
  await tell(hub, 'ledger', { out });
  expect(await verifyLedger(out)).toMatchObject({ verified: true });
  const entries = readFileSync(out, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind?: string; body?: Record<string, unknown> })
    .filter(({ body }) => body?.run === run);
  const of = (kind: string): string[] =>
    entries.flatMap((entry) => {
      if (entry.kind !== kind || entry.body === undefined) return [];
      const { round, site, hash, cohort } = entry.body;
      return [JSON.stringify({ round, site, hash, cohort })];
    });
  return { aggregates: of('aggregate'), updates: of('update').sort() };
}
