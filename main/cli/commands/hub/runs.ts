/** @file `tributary hub propose`, `runs`, `status` and `cancel`: what the federation trains. */

import { z } from 'zod';
import { askHub } from '../../../../core/hub/ask.ts';
import { runs } from '../../command.ts';
import { formatTable } from '../../format.ts';
import { readPlanFile } from '../../plan-file.ts';
import { folder } from './folder.ts';
import type { AddCommand } from './folder.ts';

export function register(command: AddCommand): void {
  command('propose', 'propose a run to all sites')
    .argument('<plan>', 'JSON or YAML file')
    .option('--start <folder>', 'PEFT folder that the run goes on from; the reference of a run with dpo')
    .action(propose);
  command('runs', 'all runs in short').action(listRuns);
  command('status', 'where every run stands, and why it is not further').action(status);
  command('cancel', 'end a run').argument('<run>', 'id of the run').option('--reason <text>').action(cancel);
}

const proposeOptions = folder.extend({ plan: z.string(), start: z.string().optional() });
const propose = runs(proposeOptions, async ({ dir, plan: file, start }, { output }) => {
  const { plan, model, configuration } = await readPlanFile(file);
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

const status = runs(folder, async ({ dir }, { output }) => {
  const answer = await askHub(dir, 'status', {});
  output.line(`${answer.federation}: the hub ${answer.running ? 'is running' : 'is not running'}.`);
  for (const { id, state, round, rounds, phase, reason, sites: members } of answer.runs) {
    const where = round === null ? '' : `, round ${round + 1} of ${rounds}`;
    output.line(`${id}: ${state}${where}, ${phase}${reason && `: ${reason}`}`);
    for (const site of members)
      output.line(`  ${site.name}: ${site.state}${site.reason && `, ${site.reason}`}`);
  }
  output.result(answer);
});

const cancelOptions = folder.extend({ run: z.string(), reason: z.string().optional() });
const cancel = runs(cancelOptions, async ({ dir, run, reason }, { output }) => {
  output.result(await askHub(dir, 'cancel', { run, reason }));
  output.line(`${run} is cancelled.`);
});
