/** @file Keeps the folder of a site within the bytes that its policies allow it. */

import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { toTributaryError, TributaryError } from '../errors.ts';
import { isSpare } from '../federation/spares.ts';
import { sleep } from '../machine.ts';
import type { SiteContext } from './context.ts';
import { passGate } from './policy.ts';

type Place = Pick<SiteContext, 'folder' | 'policies'>;

/**
 * Refuses what would make the folder larger than any policy allows.
 * @param bytes that are about to be written
 * @returns bytes that are left now
 * @throws TributaryError `policy.folder-size`
 */
export async function requireRoom({ folder, policies }: Place, bytes: number): Promise<number> {
  const used = await bytesOf(folder);
  const rules = policies();
  passGate(rules, { kind: 'folder', bytes: used + bytes });
  return Math.min(...rules.map(({ maxFolderBytes }) => maxFolderBytes)) - used;
}

const RETRY_SECONDS = 5;

/** Does work that needs the disk, again and again while that is full. Throws what else it throws, and the signal's reason. */
export async function onceThereIsSpace<T>(
  work: () => Promise<T>,
  options: {
    readonly onFull: (error: TributaryError) => void;
    readonly retrySeconds?: number;
    readonly signal: AbortSignal;
  },
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      const error = toTributaryError(thrown);
      if (error.code !== 'disk.full') throw thrown;
      options.onFull(error);
      await sleep((options.retrySeconds ?? RETRY_SECONDS) * 1000, options.signal);
    }
  }
}

/** Said where an import turned out larger than its file. */
export function noRoomFor(dataset: string, cause: unknown): TributaryError {
  const what = `Its rows take more than this site’s policy leaves for “${dataset}”; nothing of it was kept.`;
  return new TributaryError('policy.folder-size', what, { cause });
}

/** Of all files below a folder. One that goes meanwhile counts nothing, nor does one that others are written over. */
async function bytesOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || isSpare(entry.name)) continue;
    bytes += await lstat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return bytes;
}
