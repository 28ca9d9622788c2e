/**
 * @file A machine whose time passes only when everything has come to rest. Files and databases are real; the next
 * timer fires once no file operation is under way, so a run of minutes takes as long as its work.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SqliteDatabase } from '../../database.ts';
import type { Machine, Timer } from '../../machine.ts';
import { Random } from '../../random.ts';

export interface VirtualMachine extends Machine {
  /** How far the wall clock is off, in milliseconds. */
  skew: number;
  /** Folders on a full disk: what lies in them cannot grow. */
  readonly fullDisks: Set<string>;
  /** Lets time pass until the promise settles or `horizon` (in milliseconds) is reached; then it is `null`. */
  runUntil<T>(promise: Promise<T>, horizon: number): Promise<T | null>;
}

interface Event {
  readonly at: number;
  /** Of two at one moment the first made comes first. */
  readonly order: number;
  readonly callback: () => void;
}

/** 23 November 2026, 12:00 UTC. */
const START = Date.UTC(2026, 10, 23, 12);
/** Turns of the event loop without a file operation after which everything counts as at rest. */
const QUIET_TURNS = 3;
const PLENTY = 1e12;

/** Waits for files and databases, not for timers. */
export async function untilAtRest(): Promise<void> {
  for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
    await nextTurn();
    if (process.getActiveResourcesInfo().some((name) => /req/i.test(name))) quiet = -1;
  }
}

export function createVirtualMachine(seed: number): VirtualMachine {
  const random = new Random('machine', seed);
  const events = new Set<Event>();
  let now = 0;
  let made = 0;

  function schedule(milliseconds: number, callback: () => void): Timer {
    const event = { at: now + Math.max(0, milliseconds), order: made++, callback };
    events.add(event);
    return { cancel: () => events.delete(event) };
  }

  function next(): Event | null {
    let first: Event | null = null;
    for (const event of events) {
      if (first === null || event.at < first.at || (event.at === first.at && event.order < first.order)) {
        first = event;
      }
    }
    return first;
  }

  const isFull = (path: string): boolean => [...machine.fullDisks].some((full) => path.startsWith(full));

  const machine: VirtualMachine = {
    skew: 0,
    fullDisks: new Set(),
    now: () => now,
    date: () => START + now + machine.skew,
    startTimer: schedule,
    startInterval: (milliseconds, callback) => {
      let timer = schedule(milliseconds, tick);
      function tick(): void {
        timer = schedule(milliseconds, tick);
        callback();
      }
      return { cancel: () => timer.cancel() };
    },
    freeBytes: (folder) => Promise.resolve(isFull(folder) ? 0 : PLENTY),
    beforeCommit: (database) => {
      if (isFull(database.name)) fillUp(database);
    },
    randomBelow: (bound) => random.below(bound),
    runUntil: async (promise, horizon) => {
      let settled = false;
      const done = (): void => void (settled = true);
      promise.then(done, done);
      for (;;) {
        await untilAtRest();
        if (settled) return promise;
        const event = next();
        if (event === null || event.at > horizon) return null;
        events.delete(event);
        now = Math.max(now, event.at);
        event.callback();
      }
    },
  };
  return machine;
}

/**
 * Has SQLite itself find that nothing more fits, as it does when its journal cannot grow: it ends the transaction with
 * SQLITE_FULL. Throws that.
 */
function fillUp(database: SqliteDatabase): void {
  const pages = Number(database.pragma('freelist_count', { simple: true })) + 2;
  const bytes = pages * Number(database.pragma('page_size', { simple: true }));
  const before = Number(database.pragma('max_page_count', { simple: true }));
  database.pragma('max_page_count = 1'); // SQLite makes it as many as there are
  try {
    database.exec(`CREATE TABLE filling (bytes BLOB); INSERT INTO filling VALUES (zeroblob(${bytes}))`);
  } finally {
    database.pragma(`max_page_count = ${before}`);
  }
}
