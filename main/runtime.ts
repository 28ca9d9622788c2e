/** @file How V8 runs a hub and a site: when it collects memory, and how soon it compiles. */

import { setFlagsFromString } from 'node:v8';
import { collectGarbage } from '../core/garbage.ts';
import type { HubEvent } from '../core/hub/context.ts';
import type { HubOptions } from '../core/hub/hub.ts';

/**
 * How far the memory may grow after a collection before the next, per cent of what is in use, buffers included. V8's
 * own choice for small heaps has a hub with 20 MB in use mark all of it for every 40 MB of chunks that pass through it:
 * a third of its time, and of its sites'. With many sites more of these outlive the space for new objects, and what
 * waits to be collected would be most of a hub's memory.
 */
const GROWTH_PERCENT = { hub: 300, crowdedHub: 25, site: 400 };

/** Rounds after which a hub's memory is collected wholly: so it does not grow as far as it may in a long run. */
const ROUNDS_OF_GARBAGE = 16;

/**
 * Sites that connect until a hub's memory is collected wholly: their handshakes and the lists of members that they are
 * told leave much behind, upon which the rounds' buffers would come.
 */
const ARRIVALS_OF_GARBAGE = 16;

/**
 * Bytes that go through a hub's connections until what was made lately is collected: V8 does so once its space for new
 * objects is full, and counts a buffer of 64 KiB there as the hundred bytes that stand for it. A byte that arrives
 * leaves three behind: as it was read, as a message and as it was opened.
 */
const BUFFER_BYTES = 2 * 2 ** 20;

/** Sites that are connected at once from which on a hub is crowded. */
const CROWD = 24;

/**
 * How much of a function runs before V8 compiles it to fast code, four times its own choice: what a site does itself
 * is little and different every time, and compiling it took an eighth of its time.
 */
const SITE_INTERRUPT_BUDGET = 600_000;

function growBy(of: keyof typeof GROWTH_PERCENT): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT[of]}`);
}

export function tuneSite(): void {
  growBy('site');
  setFlagsFromString(`--interrupt-budget=${SITE_INTERRUPT_BUDGET}`);
}

/** Tunes a hub, which is to tell of every event and of the bytes that go through its buffers. */
export function tuneHub(collect = collectGarbage): Required<Pick<HubOptions, 'onEvent' | 'onBuffers'>> {
  growBy('hub');
  let passed = 0;
  const onBuffers = (bytes: number): void => {
    passed += bytes;
    if (passed < BUFFER_BYTES) return;
    passed = 0;
    collect({ type: 'minor' });
  };
  const sites = new Set<string>();
  let [rounds, arrivals] = [0, 0];
  const onEvent = (event: HubEvent): void => {
    if (event.type === 'round' && ++rounds % ROUNDS_OF_GARBAGE === 0) setImmediate(collect);
    if (event.type === 'connected' && ++arrivals % ARRIVALS_OF_GARBAGE === 0) setImmediate(collect);
    const wasCrowded = sites.size >= CROWD;
    if (event.type === 'connected') sites.add(event.site);
    else if (event.type === 'disconnected') sites.delete(event.site);
    const isCrowded = sites.size >= CROWD;
    if (isCrowded !== wasCrowded) growBy(isCrowded ? 'crowdedHub' : 'hub');
  };
  return { onEvent, onBuffers };
}

/**
 * Keeps the space for new objects as small as it is, for a hub: loading the program and what 100 sites send at once
 * would make it 32 times as large, and what is in it is short-lived.
 */
export function keepNewSpaceSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
