/** @file How a row of the office's table is written: what is asked, and who answers. */

import type { z } from 'zod';
import type { Agent } from './agent.ts';
import type { SiteContext } from './context.ts';

/** A site that can be asked. */
export interface Officeholder {
  readonly context: SiteContext;
  /** Null while the site is not running. */
  readonly agent: Agent | null;
  readonly software: string;
  /** Begins to stop a running site. */
  readonly stop: () => void;
  /** Of a site that runs without a federation too: starts the agent after a join, ends it before leaving. */
  readonly changing?: { readonly joined: () => void; readonly leaving: () => Promise<void> };
}

export interface Row<Request extends z.ZodType, Result> {
  readonly request: Request;
  readonly answer: (holder: Officeholder, request: z.infer<Request>) => Result | Promise<Result>;
}

export const row = <Request extends z.ZodType, Result>(
  request: Request,
  answer: Row<Request, Result>['answer'],
): Row<Request, Result> => ({ request, answer });
