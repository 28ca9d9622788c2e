/** @file Evaluates a model on a task, and compares two models on it. */

import { TributaryError } from '../../errors.ts';
import type { Metric } from '../file.ts';
import { measureGenerated } from './generated.ts';
import { measureLikelihood } from './likelihood.ts';
import {
  differencesOf,
  metricsOf,
  type Examinee,
  type Measured,
  type Outcome,
  type Reason,
} from './outcomes.ts';
import { measurePreference } from './preference.ts';
import type { TaskRows } from './rows.ts';
import type { Task } from './schema.ts';

export interface TaskReport {
  readonly task: string;
  /** Rows that were asked and judged. */
  readonly n: number;
  /** How many rows could not be used, and why: `broken` lines of the files, and reasons of single rows. */
  readonly leftOut: Readonly<Partial<Record<Reason | 'broken', number>>>;
  /** With 95 % intervals. */
  readonly metrics: Readonly<Record<string, Metric>>;
  readonly seconds: number;
  readonly rowsPerSecond: number;
}

/** A report with what it was computed from. */
export interface TaskRun {
  readonly report: TaskReport;
  readonly outcomes: readonly Outcome[];
}

/**
 * Asks every row of a task. The same rows, in the same order, whatever model is asked.
 * @throws TributaryError `data.empty` when no row can be used, `task.same-first-token`, and what the model throws
 */
export async function evaluateTask(task: Task, rows: TaskRows, examinee: Examinee): Promise<TaskRun> {
  const started = performance.now();
  const { outcomes, leftOut } = await measure(task, rows, examinee);
  const seconds = (performance.now() - started) / 1000;
  const reasons = { ...(rows.broken > 0 && { broken: rows.broken }), ...leftOut };
  if (outcomes.length === 0) {
    const why = Object.entries(reasons).map(([reason, count]) => `${count} ${REASONS[reason] ?? reason}`);
    throw new TributaryError('data.empty', `${task.name} has no row that can be used: ${why.join(', ')}.`);
  }
  const n = outcomes.length;
  return {
    report: {
      task: task.name,
      n,
      leftOut: reasons,
      metrics: metricsOf(outcomes),
      seconds,
      rowsPerSecond: n / seconds,
    },
    outcomes,
  };
}

function measure(task: Task, rows: TaskRows, examinee: Examinee): Promise<Measured> {
  switch (task.kind) {
    case 'labels':
    case 'choices':
      return measureLikelihood(task, rows, examinee);
    case 'numeric':
    case 'refusal':
      return measureGenerated(task, rows, examinee);
    case 'preference':
      return measurePreference(task, rows, examinee);
  }
}

/** Reasons in words that follow a number. */
export const REASONS: Readonly<Record<string, string>> = {
  broken: 'broken lines',
  incomplete: 'rows that lack a field',
  unknownAnswer: 'rows whose answer is none of the task’s',
  tooLong: 'rows that are too long',
} satisfies Record<Reason | 'broken', string>;

/** Two models on the same rows: by how much `after` exceeds `before`, with the interval of the paired bootstrap. */
export function compareRuns(before: TaskRun, after: TaskRun): Record<string, Metric> {
  return differencesOf(before.outcomes, after.outcomes);
}
