/** @file Work over the bulk socket that outlives any single connection: it waits, and goes on with the next. */

import { toTributaryError, TributaryError } from '../errors.ts';
import { sleep } from '../machine.ts';
import type { Transfers } from '../federation/transfer.ts';

/** Damaged chunks and stalls are tried again this often; broken connections as often as it takes. */
const ATTEMPTS = 5;
const PAUSE_MILLISECONDS = 200;

export interface Bulk {
  /** The present connection's transfers, or null while there is none. */
  set(transfers: Transfers | null): void;
  /** Runs `work` over a connection, again over the next one when it breaks. Rejects with the signal's reason. */
  use(work: (transfers: Transfers) => Promise<void>, signal: AbortSignal): Promise<void>;
}

export function createBulk(): Bulk {
  let current: Transfers | null = null;
  let waiting: ((transfers: Transfers) => void)[] = [];

  function next(signal: AbortSignal): Promise<Transfers> {
    signal.throwIfAborted();
    if (current !== null) return Promise.resolve(current);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(toTributaryError(signal.reason));
      signal.addEventListener('abort', onAbort, { once: true });
      waiting.push((transfers) => {
        signal.removeEventListener('abort', onAbort);
        resolve(transfers);
      });
    });
  }

  return {
    set: (transfers) => {
      current = transfers;
      if (transfers === null) return;
      for (const wake of waiting) wake(transfers);
      waiting = [];
    },
    use: async (work, signal) => {
      for (let attempt = 1; ;) {
        const transfers = await next(signal);
        try {
          await untilAborted(work(transfers), signal);
          return;
        } catch (thrown) {
          signal.throwIfAborted();
          const error = toTributaryError(thrown);
          const isBroken = error.code.startsWith('wire.') || error.code === 'site.replaced';
          if (!isBroken && (!error.retryable || attempt++ >= ATTEMPTS)) throw error;
          if (isBroken && current === transfers) current = null;
          await sleep(PAUSE_MILLISECONDS, signal).catch(() => signal.throwIfAborted());
        }
      }
    },
  };
}

/** The work's end or the signal's, whichever comes first; work that is left behind may fail unheard. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(toTributaryError(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    work.catch(() => undefined);
  }
}

/** Why work was given up: the hub has gone on, or this process ends. */
export function superseded(what: string): TributaryError {
  return new TributaryError('site.superseded', what);
}
