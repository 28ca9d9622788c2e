/**
 * @file The bridge of browser mode: one WebSocket to the loopback server that served this page. It opens again by
 * itself; requests that were under way when it broke are rejected, for nobody knows whether they were carried out.
 */

import { Failure } from './failure.ts';
import { Listeners } from './listeners.ts';
import type { BridgeErrorBody, LinkedBridge, LinkState } from './types.ts';

type Answer =
  | { readonly id: number; readonly output: unknown }
  | { readonly id: number; readonly error: BridgeErrorBody }
  | { readonly event: string; readonly body: unknown };

interface Pending {
  readonly resolve: (output: never) => void;
  readonly reject: (reason: Failure) => void;
}

const LONGEST_WAIT_SECONDS = 8;

const lost = (): Failure =>
  new Failure({ code: 'window.lost', message: 'The program behind this window does not answer.', hint: '' });

/** Exchanges the one-time token of the address for a cookie, once. Returns false where it is not accepted. */
async function signIn(): Promise<boolean> {
  const token = /^#token=([\w-]+)$/.exec(location.hash)?.[1];
  if (token !== undefined) {
    history.replaceState(null, '', `${location.pathname}#/`);
    const answer = await fetch('./session', { method: 'POST', body: token });
    return answer.ok;
  }
  return true;
}

export function connectSocket(): LinkedBridge {
  const pending = new Map<number, Pending>();
  const listeners = new Listeners();
  const linkListeners = new Set<(state: LinkState, nextAttemptSeconds: number) => void>();
  const waiting: (() => void)[] = [];
  let socket: WebSocket | null = null;
  let number = 0;
  let attempts = 0;

  const tell = (state: LinkState, seconds = 0) => linkListeners.forEach((each) => each(state, seconds));

  function receive(text: string): void {
    const answer = JSON.parse(text) as Answer;
    if ('event' in answer) {
      listeners.tell(answer.event, answer.body);
      return;
    }
    const asked = pending.get(answer.id);
    pending.delete(answer.id);
    if ('error' in answer) asked?.reject(new Failure(answer.error));
    else asked?.resolve(answer.output as never);
  }

  function open(): void {
    const address = new URL('./bridge', location.href);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    address.hash = '';
    const opening = new WebSocket(address);
    opening.onopen = () => {
      socket = opening;
      attempts = 0;
      tell('open');
      waiting.splice(0).forEach((send) => send());
    };
    opening.onmessage = ({ data }: MessageEvent<string>) => receive(data);
    opening.onclose = ({ code }) => {
      socket = null;
      pending.forEach(({ reject }) => reject(lost()));
      pending.clear();
      // 4401: the server runs and does not know this window's cookie.
      if (code === 4401) {
        tell('refused');
        return;
      }
      const seconds = Math.min(2 ** attempts++ / 2, LONGEST_WAIT_SECONDS);
      tell('lost', seconds);
      setTimeout(open, seconds * 1000);
    };
  }

  void signIn().then(
    (accepted) => (accepted ? open() : tell('refused')),
    () => open(),
  );

  return {
    ask: (name, input) =>
      new Promise((resolve, reject) => {
        const send = () => {
          if (socket === null) {
            reject(lost());
            return;
          }
          const id = ++number;
          pending.set(id, { resolve, reject });
          socket.send(JSON.stringify({ id, name, input }));
        };
        if (socket === null && attempts === 0) waiting.push(send);
        else send();
      }),
    on: (event, listener) => listeners.add(event, listener),
    onLink: (listener) => void linkListeners.add(listener),
  };
}
