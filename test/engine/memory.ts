/** @file Collecting garbage on demand, for tests of what is freed. */

import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Runs the collector until what only finalisers held is gone too. */
export async function collectGarbage(): Promise<void> {
  for (let pass = 0; pass < 4; pass++) {
    await setImmediate();
    collect();
  }
}

/** Resident memory in bytes after a collection. */
export async function residentMemory(): Promise<number> {
  await collectGarbage();
  return process.memoryUsage.rss();
}
