/** @file A federation of clinics for the tests of the windows: a hub and a site without a window, as processes. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childrenOf, result, start } from './programs.ts';
import type { Program } from './programs.ts';

export const SAMPLES = join(import.meta.dirname, '../../resources/samples/clinics');

export interface Clinics {
  readonly folder: string;
  readonly hub: string;
  /** Port on which the hub listens. */
  readonly port: number;
  invite(): Promise<string>;
  /** Proposes a run with the model tiny, of two rounds of two steps unless it is said otherwise; gives its identifier. */
  propose(plan?: PlanOptions): Promise<string>;
  /** Another site without a window, on a sample, which approves whatever its policy allows; gives its folder. */
  join(name: string, sample: string): Promise<string>;
  /** Asks the sites to rehearse such a plan; ends once all have been measured or have refused. */
  rehearse(): Program;
  /** A folder of this federation that nothing has used yet. */
  newFolder(name: string): string;
  /** Stops the training of all sites where it is, until the federation is closed: the machine is free for the windows. */
  holdTraining(): void;
  /** Starts a program that is ended with the federation. */
  start(...words: string[]): Program;
  /** Ends the hub by SIGKILL, does something without it, and starts it again. */
  restartHub(without: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

export interface PlanOptions {
  readonly name?: string;
  readonly rounds?: number;
  readonly steps?: number;
  /** Rows that each site holds out to score each round; none without it. */
  readonly heldOut?: number;
}

/** Founds it: its hub runs, `North clinic` is a member and approves whatever its policy allows. */
export async function foundClinics(): Promise<Clinics> {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-e2e-'));
  const hub = join(folder, 'hub');
  const programs: Program[] = [];
  const begin = (...words: string[]): Program => {
    const program = start(...words);
    programs.push(program);
    return program;
  };
  await result('hub', 'init', '--dir', hub, '--name', 'Clinics');
  const held: number[] = [];
  let running = begin('hub', 'start', '--dir', hub);
  const { url } = await running.line('listening');
  const invite = async (): Promise<string> =>
    String((await result('hub', 'invite', '--dir', hub)).invitation);

  async function joinAs(name: string, sample: string): Promise<string> {
    const site = join(folder, sample);
    await result('site', 'join', await invite(), '--dir', site, '--name', name);
    const rows = join(SAMPLES, sample, 'train.jsonl');
    const map = 'instruction=question,response=answer';
    await result('site', 'data', 'import', rows, '--dir', site, '--as', 'notes', '--map', map);
    await result('site', 'approve', '--dir', site, '--standing', '--dataset', 'notes');
    begin('site', 'start', '--dir', site, '--threads', '1');
    return site;
  }
  await joinAs('North clinic', 'clinic-north');

  function writePlan({ name = 'Discharge letters', rounds = 2, steps = 2, heldOut }: PlanOptions): string {
    const path = join(folder, 'plan.json');
    const plan = {
      ...{ name, model: 'tiny', adapter: { rank: 2 } },
      training: { steps, batchSize: 2, maxLength: 512 },
      federation: { rounds, minSites: 2 },
      ...(heldOut !== undefined && { evaluation: { count: heldOut } }),
    };
    writeFileSync(path, JSON.stringify(plan));
    return path;
  }

  return {
    ...{ folder, hub, invite, start: begin, port: Number(new URL(String(url)).port) },
    propose: async (plan = {}) => String((await result('hub', 'propose', writePlan(plan), '--dir', hub)).run),
    join: joinAs,
    rehearse: () => begin('hub', 'propose', writePlan({}), '--rehearse', '--wait', '2m', '--dir', hub),
    restartHub: async (without) => {
      running.kill('SIGKILL');
      await running.stop();
      await without();
      running = begin('hub', 'start', '--dir', hub);
      await running.line('listening');
    },
    newFolder: (name) => join(folder, name),
    holdTraining: () => {
      held.push(...programs.flatMap(({ pid }) => childrenOf(pid, 'training-process')));
      for (const pid of held) process.kill(pid, 'SIGSTOP');
    },
    close: async () => {
      for (const pid of held) process.kill(pid, 'SIGCONT');
      await Promise.all(programs.map((program) => program.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
