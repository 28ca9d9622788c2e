/** @file Long work on behalf of windows: each has a name, tells how far it is, ends once, and can be cancelled. */

import { z } from 'zod';
import { toTributaryError, TributaryError } from '../errors.ts';
import type { Task } from './contract/task.ts';
import { toBridgeError } from './dispatch.ts';
import type { Dispatcher } from './dispatch.ts';

/** Windows are told at most so often how far a task is. */
const TELL_MILLISECONDS = 100;
/** Tasks that have ended and are still listed. */
const KEPT = 20;

export interface TaskReporter {
  readonly id: string;
  readonly signal: AbortSignal;

  readonly progress: (at: { readonly done: number; readonly total?: number | null }) => void;
}

export interface Tasks {
  /** Begins the work and returns its name at once. */
  start(
    about: Pick<Task, 'kind' | 'subject' | 'unit'>,
    work: (reporter: TaskReporter) => Promise<unknown>,
  ): string;
  /** Newest first. */
  list(): Task[];
  /** Throws `bridge.unknown-task`. Does nothing to one that has ended. */
  cancel(task: string): void;
  /** Cancels all and resolves when they have ended. */
  close(): Promise<void>;
}

const jsonShape = z.json();

export function createTasks(emit: Dispatcher['emit']): Tasks {
  const tasks = new Map<string, { task: Task; abort: AbortController; ended: Promise<void> }>();
  let count = 0;

  function forget(): void {
    const ended = [...tasks].filter(([, { task }]) => task.state !== 'running');
    for (const [id] of ended.slice(0, Math.max(0, ended.length - KEPT))) tasks.delete(id);
  }

  return {
    start: (about, work) => {
      const id = `${about.kind}-${(count += 1)}`;
      const abort = new AbortController();
      const began = performance.now();
      let told = -Infinity;
      const entry = {
        abort,
        ended: Promise.resolve(),
        task: { ...about, task: id, done: 0, total: null, secondsLeft: null, state: 'running' } as Task,
      };
      tasks.set(id, entry);
      const tell = (changes: Partial<Task>): void => {
        entry.task = { ...entry.task, ...changes };
        emit('task', entry.task);
      };
      const progress: TaskReporter['progress'] = ({ done, total = entry.task.total }) => {
        if (entry.task.state !== 'running') return;
        const now = performance.now();
        const seconds = (now - began) / 1000;
        const secondsLeft = total !== null && done > 0 ? ((total - done) * seconds) / done : null;
        entry.task = { ...entry.task, done, total, secondsLeft };
        if (now - told < TELL_MILLISECONDS) return;
        told = now;
        emit('task', entry.task);
      };
      const run = async (): Promise<void> => {
        tell({});
        try {
          const result = jsonShape.parse((await work({ id, signal: abort.signal, progress })) ?? null);
          tell({ state: 'done', result, secondsLeft: 0 });
        } catch (thrown) {
          const isCancelled = abort.signal.aborted;
          if (isCancelled) tell({ state: 'cancelled', secondsLeft: null });
          else tell({ state: 'failed', secondsLeft: null, error: toBridgeError(thrown) });
        }
        forget();
      };
      // The answer to the request goes out first.
      entry.ended = new Promise((resolve) => setImmediate(() => void run().finally(resolve)));
      return id;
    },
    list: () => [...tasks.values()].map(({ task }) => task).reverse(),
    cancel: (id) => {
      const entry = tasks.get(id);
      if (entry === undefined) throw new TributaryError('bridge.unknown-task', `There is no task ${id}.`);
      entry.abort.abort(new TributaryError('training.stopped', 'The work was cancelled.'));
    },
    close: async () => {
      for (const { abort } of tasks.values()) abort.abort(toTributaryError('The window server closes.'));
      await Promise.all([...tasks.values()].map(({ ended }) => ended));
    },
  };
}
