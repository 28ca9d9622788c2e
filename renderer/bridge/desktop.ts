/** @file The bridge of the desktop program: texts of JSON through what the preload has put on the page. */

import { Failure } from './failure.ts';
import { Listeners } from './listeners.ts';
import type { BridgeErrorBody, DesktopBridge, LinkedBridge } from './types.ts';

type Answer = { readonly output: unknown } | { readonly error: BridgeErrorBody };
interface Told {
  readonly event: string;
  readonly body: unknown;
}

export function connectDesktop(desktop: DesktopBridge): LinkedBridge {
  const listeners = new Listeners();
  desktop.listen((text) => {
    const { event, body } = JSON.parse(text) as Told;
    listeners.tell(event, body);
  });
  return {
    ask: async (name, input) => {
      const answer = JSON.parse(await desktop.ask(name, JSON.stringify(input))) as Answer;
      if ('error' in answer) throw new Failure(answer.error);
      return answer.output as never;
    },
    on: (event, listener) => listeners.add(event, listener),
    // The process behind the window is the one that holds it.
    onLink: (listener) => listener('open', 0),
  };
}
