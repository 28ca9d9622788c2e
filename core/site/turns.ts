/**
 * @file One trainer for all federations of a site: whatever hubs ask for, the machine computes one thing at a time, in
 * the order in which it was asked. What only waits for a hub holds nobody up.
 */

import type { RoundTrainer } from './trainer.ts';

export interface Turns {
  /** The trainer as one federation uses it. */
  trainerFor(federation: string): RoundTrainer;
  /** The federation for which the machine computes now; null while it is free. */
  readonly computing: () => string | null;
}

export function takeTurns(trainer: RoundTrainer): Turns {
  let last: Promise<void> = Promise.resolve();
  let computing: string | null = null;

  /** Rejects with a signal's reason where that is aborted before its turn. */
  async function inTurn<T>(
    federation: string,
    signals: readonly AbortSignal[],
    work: () => Promise<T>,
  ): Promise<T> {
    const before = last;
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    last = before.then(() => ended);
    try {
      await unlessAborted(before, AbortSignal.any([...signals]));
      computing = federation;
      try {
        return await work();
      } finally {
        computing = null;
      }
    } finally {
      end();
    }
  }

  return {
    computing: () => computing,
    trainerFor: (federation) => ({
      train: (request) => {
        const { signal, pausing } = request;
        const signals = pausing === undefined ? [signal] : [signal, pausing.finish];
        return inTurn(federation, signals, () => trainer.train(request));
      },
      evaluate: (request) => inTurn(federation, [request.signal], () => trainer.evaluate(request)),
      rehearse: (request) =>
        inTurn(federation, [request.signal], () => {
          if (trainer.rehearse === undefined) throw new TypeError('This trainer measures nothing.');
          return trainer.rehearse(request);
        }),
      close: () => trainer.close(),
    }),
  };
}

async function unlessAborted(turn: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([turn, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
