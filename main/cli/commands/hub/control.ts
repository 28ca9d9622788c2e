/** @file `tributary hub pause`, `resume`, `extend` and `cancel`: what a coordinator does with a run under way. */

import { z } from 'zod';
import { askHub } from '../../../../core/hub/ask.ts';
import { runs } from '../../command.ts';
import { formatSeconds } from '../../format.ts';
import { duration } from '../../options.ts';
import { folder } from './folder.ts';
import type { AddCommand } from './folder.ts';

export function register(command: AddCommand): void {
  command('pause', 'hold a run once the round under way is finished, or before its first one')
    .requiredOption('--run <id>', 'id of the run')
    .option('--reason <text>', 'what sites are told')
    .action(pause);
  command('resume', 'let a paused run go on').requiredOption('--run <id>', 'id of the run').action(resume);
  command('extend', 'give a run more time for a round, or more rounds, which sites are asked to approve')
    .requiredOption('--run <id>', 'id of the run')
    .option('--rounds <number>', 'rounds of the run in all')
    .option('--deadline <duration>', 'longest time a round may take from now on')
    .action(extend);
  command('cancel', 'end a run').argument('<run>', 'id of the run').option('--reason <text>').action(cancel);
}

const oneRun = folder.extend({ run: z.string() });
const withReason = oneRun.extend({ reason: z.string().optional() });

const pause = runs(withReason, async ({ dir, run, reason }, { output }) => {
  const paused = await askHub(dir, 'pause', { run, reason });
  output.line(
    paused.begun
      ? `${run} finishes the round under way and then waits for \`tributary hub resume\`.`
      : `${run} does not begin before \`tributary hub resume\`.`,
  );
  output.result(paused);
});

const resume = runs(oneRun, async ({ dir, run }, { output }) => {
  output.result(await askHub(dir, 'resume', { run }));
  output.line(`${run} goes on.`);
});

const extendOptions = oneRun.extend({
  rounds: z.coerce.number().int().min(1).optional(),
  deadline: duration.optional(),
});
const extend = runs(extendOptions, async ({ dir, run, rounds, deadline }, { output }) => {
  const made = await askHub(dir, 'extend', { run, rounds, deadline });
  if (deadline !== undefined)
    output.line(`A round of ${run} may take ${formatSeconds(deadline)} from now on.`);
  if (made.planHash !== null) {
    output.line(`The sites are asked for ${rounds} rounds. The amended plan's hash: ${made.planHash}`);
  }
  output.result(made);
});

const cancel = runs(withReason, async ({ dir, run, reason }, { output }) => {
  output.result(await askHub(dir, 'cancel', { run, reason }));
  output.line(`${run} is cancelled.`);
});
