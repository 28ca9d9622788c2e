/** @file `tributary hub propose`, `runs` and `status`: what the federation trains. */

import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { askHub } from '../../../../core/hub/ask.ts';
import type { OfficeResult } from '../../../../core/hub/office.ts';
import { runs } from '../../command.ts';
import { formatTable } from '../../format.ts';
import type { Output } from '../../output.ts';
import { readPlanFile } from '../../plan-file.ts';
import { folder } from './folder.ts';
import type { AddCommand } from './folder.ts';

/** How often a watched hub is asked. */
const WATCH_MILLISECONDS = 1000;

export function register(command: AddCommand): void {
  command('propose', 'propose a run to all sites')
    .argument('<plan>', 'JSON or YAML file, or preset:NAME')
    .option('--model <id|path>', 'model in place of the one that the plan names')
    .option('--start <folder>', 'PEFT folder that the run goes on from; the reference of a run with dpo')
    .action(propose);
  command('runs', 'all runs in short').action(listRuns);
  command('status', 'where every run stands, and why it is not further')
    .option('--watch', 'say so again whenever it changes, until Ctrl-C')
    .action(status);
}

const proposeOptions = folder.extend({
  plan: z.string(),
  start: z.string().optional(),
  model: z.string().optional(),
});
const propose = runs(proposeOptions, async ({ dir, plan: file, start, model: named }, { output }) => {
  const { plan, model, configuration } = await readPlanFile(file, { model: named });
  const made = await askHub(dir, 'propose', { plan, model, configuration, start });
  output.line(`${made.run} is proposed; the sites are asked. Its plan's hash: ${made.planHash}`);
  output.result(made);
});

const listRuns = runs(folder, async ({ dir }, { output }) => {
  const answer = await askHub(dir, 'runs', {});
  const rows = answer.runs.map((run) => [
    run.id,
    run.state,
    run.round === null ? '–' : `${run.round + 1} of ${run.rounds}`,
    run.planHash.slice(0, 12),
  ]);
  for (const line of formatTable(['run', 'state', 'round', 'plan'], rows)) output.line(line);
  output.result(answer);
});

type Status = OfficeResult<'status'>;

const statusOptions = folder.extend({ watch: z.boolean().default(false) });
const status = runs(statusOptions, async ({ dir, watch }, { output, interruption }) => {
  let answer = await askHub(dir, 'status', {});
  if (watch) {
    const signal = interruption();
    for (let told = ''; !signal.aborted; answer = await askHub(dir, 'status', {})) {
      // Seconds go by without anything having changed.
      const text = JSON.stringify(answer).replaceAll(/"secondsLeft":[^,]*|\d+ s\b/g, '');
      if (text !== told) {
        printStatus(output, answer);
        output.event('status', answer);
      }
      told = text;
      await sleep(WATCH_MILLISECONDS, undefined, { signal }).catch(() => undefined);
    }
  } else printStatus(output, answer);
  output.result(answer);
});

function printStatus(output: Output, answer: Status): void {
  output.line(`${answer.federation}: the hub ${answer.running ? 'is running' : 'is not running'}.`);
  for (const { id, state, round, rounds, phase, reason, sites: members } of answer.runs) {
    const where = round === null ? '' : `, round ${round + 1} of ${rounds}`;
    output.line(`${id}: ${state}${where}, ${phase}${reason && `: ${reason}`}`);
    for (const site of members)
      output.line(`  ${site.name}: ${site.state}${site.reason && `, ${site.reason}`}`);
  }
}
