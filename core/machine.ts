/**
 * @file What hub and site take from the machine they run on: time, waits, free space and the jitter of new attempts.
 * It is the system's, unless a simulation of faults puts its own in its place for a while.
 */

import { randomInt } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import type { SqliteDatabase } from './database.ts';

/** Something that waits, and can be called off. */
export interface Timer {
  cancel(): void;
}

export interface Machine {
  /** Milliseconds since any fixed moment; never goes back. */
  now(): number;
  /** Milliseconds since 1970, as the machine's clock is set. */
  date(): number;
  /** Calls back once; keeps the process alive meanwhile. */
  startTimer(milliseconds: number, callback: () => void): Timer;
  /** Calls back again and again until it is called off. */
  startInterval(milliseconds: number, callback: () => void): Timer;
  /** Bytes that can still be written into a folder. */
  freeBytes(folder: string): Promise<number>;
  /** Told of every transaction before it is committed; throws where the disk has no room for it. */
  beforeCommit(database: SqliteDatabase): void;
  /** A whole number from 0 to below a bound, for waits that must not coincide. */
  randomBelow(bound: number): number;
}

const system: Machine = {
  now: () => performance.now(),
  date: () => Date.now(),
  startTimer: (milliseconds, callback) => {
    const timer = setTimeout(callback, milliseconds);
    return { cancel: () => clearTimeout(timer) };
  },
  startInterval: (milliseconds, callback) => {
    const timer = setInterval(callback, milliseconds);
    return { cancel: () => clearInterval(timer) };
  },
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
  beforeCommit: () => undefined, // SQLite finds out by itself
  randomBelow: (bound) => randomInt(bound),
};
let present = system;

/** The machine of this process, as it is at the moment. */
export const machine: Machine = {
  now: () => present.now(),
  date: () => present.date(),
  startTimer: (milliseconds, callback) => present.startTimer(milliseconds, callback),
  startInterval: (milliseconds, callback) => present.startInterval(milliseconds, callback),
  freeBytes: (folder) => present.freeBytes(folder),
  beforeCommit: (database) => present.beforeCommit(database),
  randomBelow: (bound) => present.randomBelow(bound),
};

/** Puts another machine in the system's place, for everything in this process, until the returned function is called. */
export function replaceMachine(other: Machine): () => void {
  present = other;
  return () => {
    present = system;
  };
}

/** Waits. Rejects with the signal's reason when it aborts. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = machine.startTimer(milliseconds, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}
