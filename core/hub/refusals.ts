/** @file Refused connections: counted all, logged only so many, so that a flood cannot fill the disk with its log. */

import type { Logger } from 'pino';
import type { TributaryError } from '../errors.ts';

/** Lines in one period. */
const LINES = 20;
const PERIOD_SECONDS = 60;

/** `count` is told of every refusal's code; `now` gives Unix seconds. */
export function createRefusalLog(
  log: Logger,
  count: (code: string) => void,
  now: () => number,
): (reason: TributaryError, address: string) => void {
  let begun = -Infinity;
  let lines = 0;
  let silent = 0;
  return ({ code, message }, address) => {
    count(code);
    if (now() - begun >= PERIOD_SECONDS) {
      if (silent > 0)
        log.warn({ refused: silent }, 'More connections were refused than are told one by one.');
      [begun, lines, silent] = [now(), 0, 0];
    }
    if (lines === LINES) silent += 1;
    else {
      lines += 1;
      log.warn({ code, address }, message);
    }
  };
}

/** Handshakes that an address may begin at once, and again each second. */
const BURST = 512;
const PER_SECOND = 32;
/** Addresses that are remembered; the longest unheard of is forgotten first. */
const ADDRESSES = 4096;

/**
 * Whether an address may begin another handshake, each of which costs some elliptic-curve products. Behind a proxy all
 * sites share its address: the limit is far above what a hundred of them need after a restart. `now` gives seconds.
 */
export function createHandshakeLimit(now: () => number = () => performance.now() / 1000) {
  const left = new Map<string, { tokens: number; at: number }>();
  return (address: string): boolean => {
    const known = left.get(address);
    const tokens = Math.min(BURST, (known?.tokens ?? BURST) + (now() - (known?.at ?? now())) * PER_SECOND);
    left.delete(address); // to the end of the order
    const allowed = tokens >= 1;
    left.set(address, { tokens: allowed ? tokens - 1 : tokens, at: now() });
    const [oldest] = left.keys();
    if (left.size > ADDRESSES) left.delete(oldest);
    return allowed;
  };
}
