/**
 * @file What a window may ask of the process behind it, and what it is told: the one typed bridge. Every name has a
 * schema for its input and one for its output, which `dispatch.ts` checks for both transports, Electron's IPC and the
 * WebSocket of browser mode. The renderer imports the types alone, so that no schema gets into its bundle; nothing
 * here imports anything of Node.
 */

import type { z } from 'zod';
import { applicationRequests } from './contract/application.ts';
import { dataRequests } from './contract/data.ts';
import { eventShapes } from './contract/events.ts';
import { federationRequests } from './contract/federation.ts';
import { hubRequests } from './contract/hub.ts';
import { recordRequests } from './contract/records.ts';
import { rehearsalRequests } from './contract/rehearsals.ts';
import { resultRequests } from './contract/results.ts';
import { runRequests } from './contract/runs.ts';
import type { AnyRequest } from './contract/request.ts';

/** Names that both a site's and a hub's window may use. */
export const sharedRequests = { ...applicationRequests, ...recordRequests } satisfies Record<
  string,
  AnyRequest
>;

/** Names of a site's window alone. */
export const siteRequests = {
  ...federationRequests,
  ...dataRequests,
  ...runRequests,
  ...rehearsalRequests,
  ...resultRequests,
} satisfies Record<string, AnyRequest>;

/** Names of a hub's window alone: `hubRequests`. */
export { hubRequests };

/** Every request by its name. */
export const requests = { ...sharedRequests, ...siteRequests, ...hubRequests } satisfies Record<
  string,
  AnyRequest
>;

/** Every event by its name. */
export const events = eventShapes;

export type SharedName = keyof typeof sharedRequests;
export type SiteName = keyof typeof siteRequests;
export type HubName = keyof typeof hubRequests;
export type RequestName = keyof typeof requests;
export type EventName = keyof typeof events;

/** What is given with a request, before defaults are filled in. */
export type Input<Name extends RequestName> = z.input<(typeof requests)[Name]['input']>;
/** What the implementation of a request is given: checked and complete. */
export type CheckedInput<Name extends RequestName> = z.output<(typeof requests)[Name]['input']>;
/** What a request answers. */
export type Output<Name extends RequestName> = z.output<(typeof requests)[Name]['output']>;
export type EventBody<Name extends EventName> = z.output<(typeof events)[Name]>;

/** An error as it reaches a window: `code` names a row of `core/errors.ts`, `hint` says what to do. */
export interface BridgeError {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  /** For people who help: where it was thrown, without anything of the rows. */
  readonly details?: string;
}

/** What the preload of the desktop's window gives to the page: texts of JSON, as they go over the WebSocket elsewhere. */
export interface DesktopBridge {
  /** Answers `{output}` or `{error}`. Rejects where the page may not ask at all. */
  ask(name: string, input: string): Promise<string>;
  /** Tells `{event, body}` from now on. */
  listen(listener: (text: string) => void): void;
}

/** The only thing that a window knows of the world. `ask` rejects with a `BridgeError`. */
export interface Bridge {
  ask<Name extends RequestName>(name: Name, input: Input<Name>): Promise<Output<Name>>;
  /** Returns how to stop listening. */
  on<Name extends EventName>(event: Name, listener: (body: EventBody<Name>) => void): () => void;
}
