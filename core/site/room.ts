/** @file Keeps the folder of a site within the bytes that its policies allow it. */

import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TributaryError } from '../errors.ts';
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

/** Said where an import turned out larger than its file. */
export function noRoomFor(dataset: string, cause: unknown): TributaryError {
  const what = `Its rows take more than this site’s policy leaves for “${dataset}”; nothing of it was kept.`;
  return new TributaryError('policy.folder-size', what, { cause });
}

/** Of all files below a folder. One that goes meanwhile counts nothing. */
async function bytesOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    bytes += await lstat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return bytes;
}
