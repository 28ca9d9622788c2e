/** @file Answers about long work: what runs, and that it should end. */

import type { Handlers } from './dispatch.ts';
import type { Tasks } from './tasks.ts';

export function taskHandlers(tasks: Tasks): Handlers {
  return {
    'task.list': () => ({ tasks: tasks.list() }),
    'task.cancel': ({ task }) => {
      tasks.cancel(task);
      return {};
    },
  };
}
