/** @file How a row of the office's table is written: what is asked, and who answers. */

import type { z } from 'zod';
import type { Agent } from './agent.ts';
import type { FederationContext, SiteContext } from './context.ts';

/** A site that can be asked. */
export interface Officeholder {
  readonly context: SiteContext;
  /** By the numbers of their federations; null while the site is not running. */
  readonly agents: ReadonlyMap<number, Agent> | null;
  /** The federation for which the machine computes now. */
  readonly computing?: string | null;
  readonly software: string;
  /** Begins to stop a running site. */
  readonly stop: () => void;
  /** Of a running site: starts the agent of a federation after a join, ends it before leaving. */
  readonly changing?: {
    readonly joined: (federation: string) => Promise<void>;
    readonly leaving: (federation: FederationContext) => Promise<void>;
    /** Whether it may run without a federation. */
    readonly mayBeAlone: boolean;
  };
}

export interface Row<Request extends z.ZodType, Result> {
  readonly request: Request;
  readonly answer: (holder: Officeholder, request: z.infer<Request>) => Result | Promise<Result>;
}

export const row = <Request extends z.ZodType, Result>(
  request: Request,
  answer: Row<Request, Result>['answer'],
): Row<Request, Result> => ({ request, answer });
