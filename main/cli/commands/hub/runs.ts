/** @file `tributary hub propose`, `runs` and `status`: what the federation trains. */

import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { askHub } from '../../../../core/hub/ask.ts';
import type { OfficeResult } from '../../../../core/hub/office.ts';
import { runs } from '../../command.ts';
import { formatTable } from '../../format.ts';
import type { Output } from '../../output.ts';
import { readPlanFile } from '../../plan-file.ts';
import { duration } from '../../options.ts';
import { folder } from './folder.ts';
import { awaitReport, printReport } from './rehearsal.ts';
import type { AddCommand } from './folder.ts';

/** How often a watched hub is asked. */
const WATCH_MILLISECONDS = 1000;

export function register(command: AddCommand): void {
  command('propose', 'propose a run to all sites')
    .argument('<plan>', 'JSON or YAML file, or preset:NAME')
    .option('--model <id|path>', 'model in place of the one that the plan names')
    .option('--start <folder>', 'PEFT folder that the run goes on from; the reference of a run with dpo')
    .option('--rehearse', 'propose nothing: have the sites measure the plan, and forecast the run')
    .option(
      '--wait <duration>',
      'rehearsal: how long sites are awaited whose people have to approve it',
      '2m',
    )
    .action(propose);
  command('rehearsal', 'what the sites have measured of a plan so far')
    .argument('<rehearsal>', 'as `propose --rehearse` has named it')
    .action(rehearsal);
  command('runs', 'all runs in short').action(listRuns);
  command('status', 'where every run stands, and why it is not further')
    .option('--watch', 'say so again whenever it changes, until Ctrl-C')
    .action(status);
}

const proposeOptions = folder.extend({
  plan: z.string(),
  start: z.string().optional(),
  model: z.string().optional(),
  rehearse: z.boolean().default(false),
  wait: duration,
});
const propose = runs(proposeOptions, async (options, { output, interruption }) => {
  const { dir, plan: file, start, model: named, rehearse, wait } = options;
  const { plan, model, configuration } = await readPlanFile(file, { model: named });
  if (rehearse) {
    const signal = interruption();
    const asked = await askHub(dir, 'rehearse', { plan, model, configuration, start });
    const report = await awaitReport({ dir, rehearsal: asked.rehearsal, wait, signal }, output);
    output.result({ ...report });
    return;
  }
  const made = await askHub(dir, 'propose', { plan, model, configuration, start });
  output.line(`${made.run} is proposed; the sites are asked. Its plan's hash: ${made.planHash}`);
  output.result(made);
});

const rehearsal = runs(folder.extend({ rehearsal: z.string() }), async ({ dir, ...asked }, { output }) => {
  const report = await askHub(dir, 'rehearsal', asked);
  printReport(output, report);
  output.result({ ...report });
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
