/** @file The federated half of the demonstration: a hub and its sites as processes, from nothing to an adapter. */

import { join } from 'node:path';

import { z } from 'zod';
import type { TributaryError } from '../../../core/errors.ts';
import type { Institution } from './institutions.ts';
import { command, daemon, type Daemon, type Line } from './processes.ts';

export interface Round {
  readonly round: number;
  readonly loss: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly seconds: number;
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

const text = (line: Line, key: string): string => z.string().parse(line[key]);
const roundSchema = z.object({
  round: z.number(),
  loss: z.number(),
  bytesUp: z.number(),
  bytesDown: z.number(),
  seconds: z.number(),
});
const stateSchema = z.looseObject({
  round: z.number().nullable(),
  step: z.number().nullable(),
  steps: z.number().nullable(),
});

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
  readonly sites: readonly Institution[];
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly watcher: Watcher;
}): Promise<FederatedResult> {
  const { folder, sites, watcher, signal } = options;
  const hubFolder = join(folder, 'hub');
  const siteFolder = (name: string) => join(folder, 'sites', name);
  const daemons: Daemon[] = [];
  const rounds: Round[] = [];
  try {
    await command('hub', 'init', '--dir', hubFolder, '--name', 'Demonstration');
    const ended = new Promise<Line>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      const positions = new Map<string, number>();
      const on = (name: string, line: (line: Line) => void) => ({
        line,
        started: (pid: number | undefined) => watcher.process(name, pid),
        died: (how: string) => watcher.say(`${name} has died (${how}) and is started again.`),
        ended: (error: TributaryError) => reject(error),
      });
      const listening = new Promise<void>((ready) => {
        const hub = daemon(
          ['hub', 'start', '--dir', hubFolder],
          on('hub', (line) => {
            if (line.type === 'listening') ready();
            if (line.type === 'ended') resolve(line);
            if (line.type === 'round') {
              rounds.push(roundSchema.parse(line));
              watcher.round(rounds[rounds.length - 1]);
            }
          }),
        );
        daemons.push(hub);
      });
      const onState = (name: string) => (line: Line) => {
        const { round, step, steps } = stateSchema.safeParse(line).data ?? {};
        if (typeof round !== 'number' || typeof step !== 'number' || !steps) return;
        positions.set(name, Math.max(positions.get(name) ?? 0, (round + step / steps) / options.rounds));
        const share = [...positions.values()].reduce((sum, value) => sum + value, 0) / sites.length;
        watcher.progress(share, `round ${round + 1} of ${options.rounds}`);
      };
      listening
        .then(async () => {
          for (const { name, train } of sites) {
            const dir = siteFolder(name);
            const { invitation } = await command('hub', 'invite', '--dir', hubFolder, '--site', name);
            await command('site', 'join', z.string().parse(invitation), '--dir', dir, '--name', name);
            await command('site', 'data', 'import', train, '--dir', dir, '--as', 'rows');
            await command('site', 'approve', '--dir', dir, '--standing', '--dataset', 'rows');
            const words = [
              'site',
              'start',
              '--dir',
              dir,
              '--model',
              options.model,
              '--threads',
              `${options.threads}`,
            ];
            daemons.push(daemon(words, on(name, onState(name))));
          }
          await command('hub', 'propose', options.plan, '--dir', hubFolder);
        })
        .catch(reject);
    });
    const end = await ended;
    const adapter = join(folder, 'adapter');
    await command('hub', 'export', '--dir', hubFolder, '--run', text(end, 'run'), '--out', adapter);
    const sent = new Map<string, number>();
    for (const { name } of sites) {
      const status = await command('site', 'status', '--dir', siteFolder(name));
      sent.set(name, z.object({ bytes: z.number() }).parse(status.leftThisMachine).bytes);
    }
    for (const running of daemons.splice(0).reverse()) await running.stop();
    const { entries, verified } = z
      .looseObject({ entries: z.number(), verified: z.boolean() })
      .parse(await command('audit', 'verify', hubFolder));
    return { rounds, sent, adapter, ledger: { entries, verified } };
  } finally {
    await Promise.all(daemons.map((running) => running.stop()));
  }
}
