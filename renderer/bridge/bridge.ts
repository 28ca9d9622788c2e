/** @file The one bridge of this window: Electron's, which the preload has put there, otherwise the WebSocket. */

import { toFailure } from './failure.ts';
import { connectSocket } from './socket.ts';
import type { LinkState } from './socket.ts';
import type { Bridge } from './types.ts';

declare global {
  interface Window {
    /** Put there by the preload of the desktop application. */
    readonly tributary?: Bridge;
  }
}

const desktop = window.tributary;
const socket = desktop ? null : connectSocket();

function transport(): Bridge {
  const found = desktop ?? socket;
  if (!found) throw new Error('There is no bridge.');
  return found;
}

/** The bridge; whatever a request rejects with is a `Failure`. */
export const bridge: Bridge = {
  ask: (name, input) =>
    transport()
      .ask(name, input)
      .catch((thrown: unknown) => {
        throw toFailure(thrown);
      }),
  on: (event, listener) => transport().on(event, listener),
};

/** Tells of the connection to the process behind the window, which on the desktop is always there. */
export function watchLink(listener: (state: LinkState, nextAttemptSeconds: number) => void): void {
  if (socket) socket.onLink(listener);
  else listener('open', 0);
}
