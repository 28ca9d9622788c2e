/** @file Writing files so that a crash leaves the old one or the new one, never half of one. */

import { mkdir, open, rename, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';

/** What a file is to hold; many parts need not lie in memory together. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array>;

/**
 * Writes to a temporary file in the same folder, syncs it, renames it over `path` and syncs the folder.
 * `mode` is the permission of the new file, 0o600 unless told otherwise.
 */
export async function writeFileAtomically(path: string, data: FileContent, mode = 0o600): Promise<void> {
  await writeFilesAtomically(dirname(path), { [basename(path)]: data }, mode);
}

/**
 * Writes files of one folder that belong together: each is renamed into its place only once all of them are on disk,
 * so that a full disk leaves what was there before.
 */
export async function writeFilesAtomically(
  folder: string,
  files: Readonly<Record<string, FileContent>>,
  mode = 0o600,
): Promise<void> {
  const written: { readonly temporary: string; readonly path: string }[] = [];
  try {
    for (const [name, data] of Object.entries(files)) {
      const path = join(folder, name);
      const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
      written.push({ temporary, path });
      const file = await open(temporary, 'wx', mode);
      try {
        const parts = typeof data === 'string' || data instanceof Uint8Array ? [data] : data;
        for (const part of parts) await file.writeFile(part);
        await file.sync();
      } finally {
        await file.close();
      }
    }
    for (const { temporary, path } of written) await rename(temporary, path);
  } catch (error) {
    for (const { temporary } of written) await rm(temporary, { force: true });
    throw namePath(error, written.at(-1)?.path);
  }
  await syncFolder(folder);
}

/** A full disk shows at a write, whose error names no file. */
function namePath(error: unknown, path: string | undefined): unknown {
  return error instanceof Error && !('path' in error) ? Object.assign(error, { path }) : error;
}

/**
 * Makes a folder and finds out whether it can be written to, before hours of work end there. Leaves nothing in it.
 * Throws the system's error.
 */
export async function makeWritableFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const probe = join(folder, `${randomBytes(6).toString('hex')}.tmp`);
  try {
    await (await open(probe, 'wx', 0o600)).close();
  } catch (error) {
    throw Object.assign(error as Error, { path: folder });
  }
  await rm(probe);
}

/** Makes renames and new files in a folder survive a loss of power. Windows has no such call and needs none. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
