/**
 * @file The one border between windows and the program: finds who answers a request, checks what is given and what
 * comes back, and turns whatever is thrown into an error for a person. Both transports go through it.
 */

import { z } from 'zod';
import { toTributaryError, TributaryError } from '../errors.ts';
import { events, requests } from './contract.ts';
import type { BridgeError, CheckedInput, EventBody, EventName, Output, RequestName } from './contract.ts';

/** Who answers which request; what is missing here is unknown in this window. */
export type Handlers = {
  readonly [Name in RequestName]?: (input: CheckedInput<Name>) => Output<Name> | Promise<Output<Name>>;
};

export type Answer = { readonly output: unknown } | { readonly error: BridgeError };

export interface Dispatcher {
  /** Never rejects. Both arguments come from outside and may be anything. */
  answer(name: unknown, input: unknown): Promise<Answer>;
  /** Tells every window. Throws a `ZodError` for a body that is not what the contract says. */
  readonly emit: <Name extends EventName>(event: Name, body: EventBody<Name>) => void;
  /** Hears every event from now on; returns how to stop. */
  listen(listener: (event: EventName, body: unknown) => void): () => void;
}

/** @param handlers looked at anew for each request, so that they may change with the state of the folder */
export function createDispatcher(handlers: () => Handlers): Dispatcher {
  const listeners = new Set<(event: EventName, body: unknown) => void>();

  async function run(name: unknown, input: unknown): Promise<unknown> {
    if (!isRequestName(name)) {
      throw new TributaryError('bridge.unknown-request', `There is no request ${describe(name)}.`);
    }
    // The table says which handler belongs to the name; here handlers of all names lie together.
    const handler = handlers()[name] as ((input: unknown) => unknown) | undefined;
    if (handler === undefined) {
      throw new TributaryError('bridge.unknown-request', `This window cannot ask ${name}.`);
    }
    const { input: shape, output }: { input: z.ZodType; output: z.ZodType } = requests[name];
    const checked = shape.safeParse(input);
    if (!checked.success) {
      const [issue] = checked.error.issues;
      const where = issue.path.length > 0 ? ` at ${issue.path.join('.')}` : '';
      throw new TributaryError('bridge.bad-input', `${name} was asked wrongly${where}: ${issue.message}.`);
    }
    return output.parse(await handler(checked.data));
  }

  return {
    answer: async (name, input) => {
      try {
        return { output: await run(name, input) };
      } catch (thrown) {
        return { error: toBridgeError(thrown) };
      }
    },
    emit: (event, body) => {
      const checked = events[event].parse(body);
      for (const listener of [...listeners]) listener(event, checked);
    },
    listen: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** What was thrown, as it reaches a window. Only what nobody has foreseen carries details. */
export function toBridgeError(thrown: unknown): BridgeError {
  if (thrown instanceof z.ZodError) {
    const details = thrown.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n');
    const error = new TributaryError(
      'internal.unexpected',
      'The program answered in a form that it should not.',
    );
    return { code: error.code, message: error.message, hint: error.windowHint, details };
  }
  const { code, message, windowHint: hint } = toTributaryError(thrown);
  const isUnforeseen = code === 'internal.unexpected' && thrown instanceof Error;
  return { code, message, hint, ...(isUnforeseen && { details: thrown.stack }) };
}

function isRequestName(name: unknown): name is RequestName {
  return typeof name === 'string' && Object.hasOwn(requests, name);
}

function describe(name: unknown): string {
  return typeof name === 'string' ? name.slice(0, 80) : `of the kind ${typeof name}`;
}
