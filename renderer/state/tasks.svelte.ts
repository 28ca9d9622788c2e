/** @file Long work of the process behind the window, and how the window waits for it. */

import { bridge } from '../bridge/bridge.ts';
import { Failure } from '../bridge/failure.ts';
import type { EventBody } from '../bridge/types.ts';

export type Task = EventBody<'task'>;

class Tasks {
  /** By id; those of the last connection and those that began since. */
  readonly all: Record<string, Task> = $state({});
  readonly #waiting = new Map<string, ((task: Task) => void)[]>();

  listen(): void {
    bridge.on('task', (task) => this.#take(task));
  }

  /** What ran before this window was opened or while it was cut off. */
  async catchUp(): Promise<void> {
    const { tasks } = await bridge.ask('task.list', {});
    tasks.forEach((task) => this.#take(task));
  }

  #take(task: Task): void {
    this.all[task.task] = task;
    if (task.state === 'running') return;
    this.#waiting.get(task.task)?.forEach((settle) => settle(task));
    this.#waiting.delete(task.task);
  }

  /** Those that run now, of one kind and, where it is named, about one thing. */
  running(kind: Task['kind'], subject?: string): Task[] {
    return Object.values(this.all).filter(
      (task) =>
        task.kind === kind && task.state === 'running' && (subject === undefined || task.subject === subject),
    );
  }

  /** Resolves with the ended task; rejects where it failed, and where it was cancelled with `window.cancelled`. */
  ended(id: string): Promise<Task> {
    return new Promise((resolve, reject) => {
      const settle = (task: Task) => {
        if (task.state === 'done') resolve(task);
        else reject(new Failure(task.error ?? { code: 'window.cancelled', message: '', hint: '' }));
      };
      const known = this.all[id];
      if (known && known.state !== 'running') settle(known);
      else this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), settle]);
    });
  }

  cancel(id: string): void {
    void bridge.ask('task.cancel', { task: id }).catch(() => undefined);
  }
}

export const tasks = new Tasks();
