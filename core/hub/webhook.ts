/**
 * @file Tells a web address of the hub's events: JSON, signed, one after the other, again when it does not answer.
 * The hub never waits for it.
 */

import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Network } from '../network/network.ts';
import type { HubEvent } from './context.ts';

/** Events that wait at most; above it the oldest are dropped and counted. */
const MAX_WAITING = 1000;
/** An event is given up after so many attempts, some ten minutes. */
const ATTEMPTS = 8;
const FIRST_PAUSE_MILLISECONDS = 1000;
const LONGEST_PAUSE_MILLISECONDS = 300_000;
const TIMEOUT_MILLISECONDS = 10_000;

export interface WebhookOptions {
  readonly network: Pick<Network, 'fetch'>;
  readonly url: string;
  /** Key of the signature. */
  readonly secret: string;
  readonly federation: string;
  readonly log: Logger;
  /** Unix seconds. */
  readonly now: () => number;
  /** Milliseconds before the second attempt; for tests. */
  readonly firstPause?: number;
}

export interface Webhook {
  tell(event: HubEvent): void;
  /** Gives up what waits. */
  stop(): Promise<void>;
}

/** What the receiver checks: HMAC-SHA256 over `time.body`, in hexadecimal. */
export function signatureOf(secret: string, time: number, body: string): string {
  return createHmac('sha256', secret).update(`${time}.${body}`).digest('hex');
}

/** Sends `{id, time, federation, event}` with the header `Tributary-Signature: t=<time>,v1=<HMAC>`. */
export function startWebhook(options: WebhookOptions): Webhook {
  const { network, url, secret, federation, log, now, firstPause = FIRST_PAUSE_MILLISECONDS } = options;
  const abort = new AbortController();
  const waiting: string[] = [];
  let count = 0;
  let dropped = 0;
  let working: Promise<void> | null = null;

  async function deliver(body: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const reason = await post(body);
      if (reason === null) return;
      if (attempt === ATTEMPTS) {
        log.error({ webhook: 'given up' }, `The webhook did not take an event: ${reason}`);
        return;
      }
      log.warn({ webhook: 'trying again', attempt }, `The webhook did not take an event: ${reason}`);
      const pause = Math.min(LONGEST_PAUSE_MILLISECONDS, firstPause * 2 ** (attempt - 1));
      await sleep(pause, undefined, { signal: abort.signal, ref: false });
    }
  }

  /** Why it was not taken, or null. */
  async function post(body: string): Promise<string | null> {
    const time = now();
    try {
      const answer = await network.fetch(url, {
        method: 'POST',
        redirect: 'error',
        headers: {
          'content-type': 'application/json',
          'tributary-signature': `t=${time},v1=${signatureOf(secret, time, body)}`,
        },
        body,
        signal: AbortSignal.any([abort.signal, AbortSignal.timeout(TIMEOUT_MILLISECONDS)]),
      });
      await answer.body?.cancel();
      return answer.ok ? null : `it answered ${answer.status}`;
    } catch (thrown) {
      abort.signal.throwIfAborted();
      const cause = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
      return cause instanceof Error ? cause.message : String(cause);
    }
  }

  async function work(): Promise<void> {
    for (let body = waiting.shift(); body !== undefined; body = waiting.shift()) await deliver(body);
  }

  return {
    tell: (event) => {
      if (abort.signal.aborted) return;
      count += 1;
      waiting.push(JSON.stringify({ id: count, time: now(), federation, event }));
      if (waiting.length > MAX_WAITING) {
        waiting.shift();
        dropped += 1;
        if (dropped === 1) log.error({ webhook: 'dropping' }, 'The webhook is too slow; events are dropped.');
      }
      working ??= work()
        .catch(() => undefined) // stopped
        .finally(() => (working = null));
    },
    stop: async () => {
      abort.abort();
      waiting.length = 0;
      await working;
    },
  };
}
