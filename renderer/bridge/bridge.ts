/** @file The one bridge of this window: the desktop's, where its preload has put one, otherwise the WebSocket. */

import { connectDesktop } from './desktop.ts';
import { toFailure } from './failure.ts';
import { connectSocket } from './socket.ts';
import type { Bridge, DesktopBridge, LinkState } from './types.ts';

declare global {
  interface Window {
    /** Put there by the preload of the desktop program. */
    readonly tributary?: DesktopBridge;
  }
}

const transport = window.tributary ? connectDesktop(window.tributary) : connectSocket();

/** The bridge; whatever a request rejects with is a `Failure`. */
export const bridge: Bridge = {
  ask: (name, input) =>
    transport.ask(name, input).catch((thrown: unknown) => {
      throw toFailure(thrown);
    }),
  on: (event, listener) => transport.on(event, listener),
};

/** Tells of the connection to the process behind the window. */
export const watchLink = (listener: (state: LinkState, nextAttemptSeconds: number) => void): void =>
  transport.onLink(listener);
