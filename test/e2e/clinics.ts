/** @file A federation of clinics for the tests of the windows: a hub and a site without a window, as processes. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { result, start } from './programs.ts';
import type { Program } from './programs.ts';

export const SAMPLES = join(import.meta.dirname, '../../resources/samples/clinics');

export interface Clinics {
  readonly folder: string;
  readonly hub: string;
  /** Port on which the hub listens. */
  readonly port: number;
  invite(): Promise<string>;
  /** Proposes two rounds of two steps, or of as many as are wanted, with the model tiny; gives the run's name. */
  propose(steps?: number): Promise<string>;
  /** Asks the sites to rehearse such a plan; ends once all have been measured or have refused. */
  rehearse(): Program;
  /** A folder of this federation that nothing has used yet. */
  newFolder(name: string): string;
  /** Starts a program that is ended with the federation. */
  start(...words: string[]): Program;
  /** Ends the hub by SIGKILL, does something without it, and starts it again. */
  restartHub(without: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** Founds it: its hub runs, `clinic-north` is a member and approves whatever its policy allows. */
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
  let running = begin('hub', 'start', '--dir', hub);
  const { url } = await running.line('listening');
  const invite = async (): Promise<string> =>
    String((await result('hub', 'invite', '--dir', hub)).invitation);

  const north = join(folder, 'north');
  await result('site', 'join', await invite(), '--dir', north, '--name', 'clinic-north');
  const rows = join(SAMPLES, 'clinic-north/train.jsonl');
  const map = 'instruction=question,response=answer';
  await result('site', 'data', 'import', rows, '--dir', north, '--as', 'notes', '--map', map);
  await result('site', 'approve', '--dir', north, '--standing', '--dataset', 'notes');
  begin('site', 'start', '--dir', north, '--threads', '1');

  function writePlan(steps: number): string {
    const plan = join(folder, 'plan.json');
    const training = { steps, batchSize: 2, maxLength: 512 };
    const federation = { rounds: 2, minSites: 2 };
    const [name, model, adapter] = ['Discharge letters', 'tiny', { rank: 2 }];
    writeFileSync(plan, JSON.stringify({ name, model, adapter, training, federation }));
    return plan;
  }

  return {
    ...{ folder, hub, invite, start: begin, port: Number(new URL(String(url)).port) },
    propose: async (steps = 2) =>
      String((await result('hub', 'propose', writePlan(steps), '--dir', hub)).run),
    rehearse: () => begin('hub', 'propose', writePlan(2), '--rehearse', '--wait', '2m', '--dir', hub),
    restartHub: async (without) => {
      running.kill('SIGKILL');
      await running.stop();
      await without();
      running = begin('hub', 'start', '--dir', hub);
      await running.line('listening');
    },
    newFolder: (name) => join(folder, name),
    close: async () => {
      await Promise.all(programs.map((program) => program.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
