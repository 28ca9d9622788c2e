/** @file Evaluates a model on tasks, with its adapter beside another model where that is asked for. */

import { z } from 'zod';
import { TributaryError } from '../../core/errors.ts';
import type { Metric } from '../../core/evaluation/file.ts';
import { findTasks } from '../../core/evaluation/tasks/catalogue.ts';
import {
  compareRuns,
  evaluateTask,
  REASONS,
  type TaskReport,
  type TaskRun,
} from '../../core/evaluation/tasks/evaluate.ts';
import type { Examinee } from '../../core/evaluation/tasks/outcomes.ts';
import { readTaskRows, type TaskRows } from '../../core/evaluation/tasks/rows.ts';
import type { Task } from '../../core/evaluation/tasks/schema.ts';
import { writeFileAtomically } from '../../core/files.ts';
import type { TrainerProcess } from '../../core/training/client.ts';
import { wholeNumber, type CommandContext } from './command.ts';
import { formatTable } from './format.ts';
import type { Fields } from './output.ts';
import { template } from './training.ts';

export const taskOptions = z.object({
  task: z.string(),
  data: z.string().optional(),
  limit: wholeNumber(1).optional(),
  seed: wholeNumber(0).optional(),
  compare: z.boolean().optional(),
  adapter: z.string().optional(),
  reference: z.string().optional(),
  template: template.optional(),
  maxLength: wholeNumber(8).optional(),
});
export type TaskOptions = z.output<typeof taskOptions>;

/** What came of one task: the model's report, and with `--compare` that of the other model and the differences. */
interface Compared extends TaskReport {
  readonly base?: TaskReport;
  readonly difference?: Readonly<Record<string, Metric>>;
}

/**
 * Evaluates a task or each task of a suite, and prints a table.
 * @returns `task`, `n` and `metrics`; of a suite the metrics are named `TASK.METRIC`, and `results` has each task's own
 * @throws TributaryError `usage.invalid`, and what finding, reading and evaluating tasks throws
 */
export async function evaluateTasks(
  trainer: TrainerProcess,
  options: TaskOptions,
  context: CommandContext,
): Promise<Fields> {
  const { data, adapter, compare, limit, seed } = options;
  const { name, isSuite, tasks } = await findTasks(options.task);
  if (data === undefined) {
    throw new TributaryError(
      'usage.invalid',
      `The task ${name} needs --data: the folder or file with its rows.`,
    );
  }
  if (compare === true && adapter === undefined) {
    throw new TributaryError('usage.invalid', '--compare needs the adapter to be compared: --adapter.');
  }
  const all = tasks.map((task) => adapted(task, options));
  // A file that is missing shows before anything is computed.
  const rows: TaskRows[] = [];
  for (const task of all) rows.push(await readTaskRows(task, { data, limit, seed }));
  const runs = async (label: string): Promise<TaskRun[]> => {
    const found: TaskRun[] = [];
    for (const [index, task] of all.entries()) {
      const bar = context.progress(`${task.name}${label}`);
      const examinee = examineeOf(trainer, (done, total) => bar.update(done, total), context.interruption());
      const run = await evaluateTask(task, rows[index], examinee);
      bar.finish(
        `${task.name}${label}: ${run.report.n} rows, ${run.report.rowsPerSecond.toFixed(2)} a second.`,
      );
      context.output.event('task', { ...run.report, ...(compare && { model: label.trim() }) });
      found.push(run);
    }
    return found;
  };
  let before: TaskRun[] = [];
  if (compare === true) {
    if (options.reference !== undefined) await trainer.call('loadAdapter', { folder: options.reference });
    before = await runs(options.reference === undefined ? ' base' : ' reference');
  } else if (options.reference !== undefined) {
    await trainer.call('loadReference', { folder: options.reference });
  }
  if (adapter !== undefined) await trainer.call('loadAdapter', { folder: adapter });
  const after = await runs(compare === true ? ' adapter' : '');
  const results = after.map((run, index): Compared => {
    const earlier = before.at(index);
    if (!earlier) return run.report;
    return { ...run.report, base: earlier.report, difference: compareRuns(earlier, run) };
  });
  for (const line of tableOf(results)) context.output.line(line);
  return { ...summary(name, results, isSuite), ...(limit && { limit }), ...(seed && { seed }) };
}

function adapted(task: Task, { template, maxLength }: TaskOptions): Task {
  return { ...task, ...(template && { template }), ...(maxLength && { maxLength }) };
}

function examineeOf(
  trainer: TrainerProcess,
  update: (done: number, total: number) => void,
  signal: AbortSignal,
): Examinee {
  const observer = {
    signal,
    report: (told: { done: number; total: number }) => update(told.done, told.total),
  };
  return {
    scoreAnswers: (request) => trainer.call('scoreAnswers', request, observer),
    answerPrompts: (request) => trainer.call('answerPrompts', request, observer),
    evaluatePreferences: (request) => trainer.call('evaluatePreferences', request, observer),
  };
}

function summary(name: string, results: readonly Compared[], isSuite: boolean): Fields {
  const skippedOf = ({ leftOut }: TaskReport) =>
    Object.values(leftOut).reduce((sum, count) => sum + count, 0);
  if (!isSuite) return { ...results[0], skipped: skippedOf(results[0]) };
  const sum = (value: (result: TaskReport) => number) =>
    results.reduce((total, result) => total + value(result), 0);
  const metrics = results.flatMap(({ task, metrics }) =>
    Object.entries(metrics).map(([metric, value]) => [`${task}.${metric}`, value] as const),
  );
  return {
    task: name,
    n: sum(({ n }) => n),
    skipped: sum(skippedOf),
    metrics: Object.fromEntries(metrics),
    seconds: sum(({ seconds }) => seconds),
    results,
  };
}

/** One line a metric, and one for what was left out. */
function tableOf(results: readonly Compared[]): string[] {
  const compared = results.some(({ difference }) => difference !== undefined);
  const head = [
    'task',
    'n',
    'metric',
    ...(compared ? ['before', 'after', 'difference'] : ['value']),
    'rows/s',
  ];
  const rows = results.flatMap(({ task, n, metrics, base, difference, rowsPerSecond }) =>
    Object.entries(metrics).map(([name, metric]) => [
      task,
      String(n),
      name,
      ...(base && difference ? [base.metrics[name], metric, difference[name]] : [metric]).map(inWords),
      rowsPerSecond.toFixed(2),
    ]),
  );
  const notes = results.flatMap(({ task, leftOut }) =>
    Object.entries(leftOut).map(
      ([reason, count]) => `${task}: left out ${count} ${REASONS[reason] ?? reason}.`,
    ),
  );
  return [...formatTable(head, rows), ...notes];
}

function inWords({ value, low, high }: Metric): string {
  return `${value.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
}

/** A metric with its interval as a sentence. */
export function metricLine(name: string, { value, low, high }: Metric): string {
  return `${name}: ${value.toFixed(4)} (95 % interval ${low.toFixed(4)} to ${high.toFixed(4)})`;
}

/** Writes a result as a file of JSON. */
export async function writeReport(path: string, result: Fields): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(result, null, 2)}\n`);
}
