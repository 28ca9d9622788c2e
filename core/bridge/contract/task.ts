/** @file Long work: what a window is told of it while it goes on and when it ends. */

import { z } from 'zod';
import { problem } from './request.ts';

/** Long work. */
export const taskShape = z.object({
  task: z.string(),
  /**
   * `model` and `data` (downloads), `import`, `search`, `withdraw`, `export`, `alone` (training alone), `generate`, `measure`
   * (the time of a round).
   */
  kind: z.enum(['model', 'data', 'import', 'search', 'withdraw', 'export', 'alone', 'generate', 'measure']),
  /** What it works on: a dataset, a file, a run, a model. */
  subject: z.string(),
  done: z.number(),
  /** Null where it is not known. */
  total: z.number().nullable(),
  unit: z.enum(['bytes', 'rows', 'steps', 'tokens', 'answers', 'tensors']),
  secondsLeft: z.number().nullable(),
  state: z.enum(['running', 'done', 'failed', 'cancelled']),
  /** Of a task that is done; the request that starts it says what. */
  result: z.json().optional(),
  /** Of one that failed. */
  error: problem.extend({ details: z.string().optional() }).optional(),
});
export type Task = z.infer<typeof taskShape>;
