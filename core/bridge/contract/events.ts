/** @file What a window is told without asking. */

import { z } from 'zod';
import { siteStatusShape } from './federation.ts';
import { hubStatusShape } from './hub.ts';
import { count, problem, time } from './request.ts';
import { taskShape } from './task.ts';

export const eventShapes = {
  /** A task has begun, gone on or ended; at most ten times a second for each. */
  task: taskShape,
  /** The site's or the hub's status changed: the new one, as `federation.status` or `hub.status` would say it. */
  status: z.discriminatedUnion('role', [
    z.object({ role: z.literal('site'), status: siteStatusShape }),
    z.object({ role: z.literal('hub'), status: hubStatusShape }),
  ]),
  /** A step of training at this site, or a round of it. */
  series: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('step'),
      run: z.string(),
      round: count,
      /** Over all rounds, from 1. */
      step: count,
      loss: z.number(),
      time,
    }),
    z.object({
      kind: z.literal('round'),
      run: z.string(),
      round: count,
      loss: z.number().nullable(),
      metrics: z.record(z.string(), z.number()),
      state: z.enum(['training', 'sending', 'committed', 'late', 'refused']),
    }),
  ]),
  /** A piece of an answer of `try.generate`. */
  tokens: z.object({
    task: z.string(),
    /** Position in the request's `variants`. */
    index: count,
    delta: z.string(),
    /** With the last piece. */
    end: z.boolean(),
    tokens: count.optional(),
    tokensPerSecond: z.number().optional(),
  }),
  /** Hits of `data.search`, as they are found. `values` are cut around the hit. */
  search: z.object({
    task: z.string(),
    hits: z.array(z.object({ row: count, column: z.string(), text: z.string() })),
    scanned: count,
  }),
  /** Something that a person should know and that no request is the cause of. */
  problem,
  /** Settings, datasets, results or the stage changed in another window, or a link was opened: read them again. */
  changed: z.object({
    what: z.enum(['settings', 'datasets', 'results', 'runs', 'stage', 'invitations', 'link']),
  }),
};
