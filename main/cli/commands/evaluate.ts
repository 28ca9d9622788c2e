/** @file `tributary evaluate`: how well a model does on a file, a task or a suite of tasks. */

import { existsSync } from 'node:fs';

import type { Command } from 'commander';
import { z } from 'zod';
import { TributaryError } from '../../../core/errors.ts';
import { evaluateFile } from '../../../core/evaluation/file.ts';
import { evaluatePreferenceFile, holdsPreferences } from '../../../core/evaluation/preference-file.ts';
import { isKnownTask, isTaskFile, listTasks } from '../../../core/evaluation/tasks/catalogue.ts';
import { withTrainer } from '../../../core/training/client.ts';
import type { TrainerProcess } from '../../../core/training/client.ts';
import { runs, wholeNumber, type CommandContext } from '../command.ts';
import { formatTable } from '../format.ts';
import type { Fields, Output } from '../output.ts';
import { preferenceOf, preferenceOptions, withPreferenceOptions } from '../preference-options.ts';
import { evaluateTasks, metricLine, taskOptions, writeReport } from '../task-evaluation.ts';
import { announceDevice, engineOptions, withEngineOptions } from '../training.ts';

const options = engineOptions
  .extend(preferenceOptions.shape)
  .extend(taskOptions.shape)
  .extend({
    // With --list neither is needed.
    model: z.string().optional(),
    task: z.string().optional(),
    list: z.boolean().default(false),
    batch: wholeNumber(1),
    skipBad: z.boolean().default(false),
    out: z.string().optional(),
  });
/** What is measured is named. */
type Options = z.output<typeof options> & { readonly model: string; readonly task: string };

export function register(program: Command): void {
  const command = program
    .command('evaluate')
    .description('measure a model on a file of examples, a task or a suite of tasks');
  withPreferenceOptions(withEngineOptions(command, { needsModel: false }))
    .option('--adapter <folder>', 'PEFT folder')
    .option('--task <name|file>', 'task or suite (see --list), its YAML file, or JSON Lines of examples')
    .option('--list', 'the tasks and suites that come with Tributary')
    .option('--data <folder|file>', 'tasks: where the rows are')
    .option('--limit <number>', 'tasks: at most so many rows of each, drawn at random')
    .option('--seed <number>', 'tasks: seeds the draws of rows and of solved examples')
    .option('--compare', 'tasks: the adapter beside the base model (or --reference), on the same rows')
    .option('--reference <folder>', 'PEFT folder to compare with; the base model without it')
    .option('--template <name>', 'chat, alpaca or vicuna; by default chat, or what a task says')
    .option('--max-length <tokens>', 'longest example; by default 512, or what a task or the model says')
    .option('--batch <number>', 'files: examples computed at once', '8')
    .option('--skip-bad', 'files: leave broken lines out and count them')
    .option('--out <file>', 'write the result as JSON too')
    .action(evaluate);
}

const evaluate = runs(options, async (given, context) => {
  const { output } = context;
  if (given.list) return list(output);
  const { model, task } = given;
  if (model === undefined) throw new TributaryError('usage.invalid', 'No model is named: --model.');
  if (task === undefined)
    throw new TributaryError('usage.invalid', 'Nothing to measure on is named: --task.');
  const input = { ...given, model, task };
  await withTrainer(input, async (trainer, opened) => {
    announceDevice(output, input.device, opened);
    const { identity, precision } = opened;
    const measured = isDataFile(input.task)
      ? await onFile(trainer, input, context)
      : await evaluateTasks(trainer, input, context);
    const result = { ...measured, model: identity, precision };
    if (input.out !== undefined) await writeReport(input.out, result);
    output.result(result);
  });
});

/** What is no task's name and no description of one is a file of examples. */
function isDataFile(task: string): boolean {
  return !isTaskFile(task) && !isKnownTask(task) && (existsSync(task) || /[./\\]/.test(task));
}

async function onFile(
  trainer: TrainerProcess,
  input: Options,
  { output, progress, interruption }: CommandContext,
): Promise<Fields> {
  if (input.compare === true) {
    throw new TributaryError('usage.invalid', '--compare works on tasks and not on a file of examples.');
  }
  if (input.adapter !== undefined) await trainer.call('loadAdapter', { folder: input.adapter });
  if (input.reference !== undefined) await trainer.call('loadReference', { folder: input.reference });
  const bar = progress('Evaluating');
  const observer = {
    signal: interruption(),
    report: ({ done, total }: { done: number; total: number }) => bar.update(done, total),
  };
  const { template = 'chat', maxLength = 512, batch: batchSize, skipBad, task: file } = input;
  const evaluation = { template, maxLength, batchSize, skipBad, file };
  const report = (await holdsPreferences(file))
    ? await evaluatePreferenceFile({ ...evaluation, dpo: preferenceOf(input) }, (request) =>
        trainer.call('evaluatePreferences', request, observer),
      )
    : await evaluateFile(evaluation, (request) => trainer.call('evaluate', request, observer));
  bar.finish(`${report.n} examples of ${file}:`);
  if (report.skipped > 0) output.line(`Left out as broken or too long: ${report.skipped}.`);
  for (const [name, metric] of Object.entries(report.metrics)) output.line(metricLine(name, metric));
  return { task: file, ...report };
}

async function list(output: Output): Promise<void> {
  const { tasks, suites } = await listTasks();
  const rows = tasks.map(({ name, kind, about }) => [name, kind, about]);
  for (const line of formatTable(['task', 'kind', 'about'], rows)) output.line(line);
  output.line('');
  const members = suites.map(({ name, tasks }) => [name, tasks.join(', ')]);
  for (const line of formatTable(['suite', 'tasks'], members)) output.line(line);
  output.result({
    tasks: tasks.map(({ name, kind, about, rows }) => ({ name, kind, about, files: rows.files })),
    suites,
  });
}
