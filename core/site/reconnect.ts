/**
 * @file Keeps one socket to the hub open: tries again with back-off and full jitter until told to stop, and anew at
 * once when this machine has slept.
 */

import { toTributaryError } from '../errors.ts';
import type { TributaryError } from '../errors.ts';
import { machine, sleep } from '../machine.ts';
import type { Connected } from './connect.ts';
import type { Wakes } from './wake.ts';

export interface Backoff {
  /** The first wait is uniform in [0, first), each further one in a range twice as long … */
  readonly firstSeconds: number;
  /** … but never longer than this. */
  readonly capSeconds: number;
}
export const DEFAULT_BACKOFF: Backoff = { firstSeconds: 0.5, capSeconds: 30 };

/** A connection that held this long starts the back-off anew when it breaks, so that a flaky link is used. */
const STEADY_MILLISECONDS = 2000;

export interface KeepConnectedOptions {
  readonly connect: (signal: AbortSignal) => Promise<Connected>;
  /** Called as soon as the hub has said welcome; what it throws counts as a failed attempt. */
  readonly onConnected: (connected: Connected) => void;
  /** Why there is no connection, now. */
  readonly onLost: (reason: TributaryError) => void;
  /** Whether trying again is of no use. */
  readonly isFinal: (reason: TributaryError) => boolean;
  readonly backoff: Backoff;
  readonly wakes: Wakes;
  readonly signal: AbortSignal;
}

/** Resolves when the signal is aborted or a final refusal came; never rejects. */
export async function keepConnected(options: KeepConnectedOptions): Promise<void> {
  const { signal, backoff } = options;
  for (let attempt = 0; !signal.aborted; attempt++) {
    const begun = machine.now();
    const woken = new AbortController();
    const forget = options.wakes.listen(() => woken.abort());
    const turn = AbortSignal.any([signal, woken.signal]);
    const reason = await connectOnce(options, turn);
    if (!signal.aborted) options.onLost(reason);
    if (signal.aborted || options.isFinal(reason)) return forget();
    if (machine.now() - begun > STEADY_MILLISECONDS) attempt = 0;
    const longest = Math.min(backoff.capSeconds, backoff.firstSeconds * 2 ** Math.min(attempt, 20));
    await sleep(machine.randomBelow(Math.max(1, Math.round(longest * 1000))), turn).catch(() => undefined);
    forget();
    if (woken.signal.aborted) attempt = -1;
  }
}

/** One connection from its beginning to its end, which the signal brings too; returns why it ended. */
async function connectOnce(
  { connect, onConnected }: KeepConnectedOptions,
  signal: AbortSignal,
): Promise<TributaryError> {
  let connected: Connected;
  try {
    connected = await connect(signal);
  } catch (thrown) {
    return toTributaryError(thrown);
  }
  const { channel } = connected;
  const close = (): void => channel.close();
  signal.addEventListener('abort', close);
  try {
    if (signal.aborted) close();
    else onConnected(connected);
  } catch (thrown) {
    channel.close(toTributaryError(thrown));
  }
  const reason = await channel.closed;
  signal.removeEventListener('abort', close);
  return reason;
}
