/**
 * @file Files of no more use, of which the next ones of their size take the place: writing over a file takes a third of
 * the time of writing a new one and deleting the old. What they held is of no use to anybody, and a start deletes them.
 */

import { renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Spares {
  /** Takes a file over, or deletes it where something else still has it. */
  keep(path: string): void;
  /** A file of that size to be written over, which is nobody's now. Where there is none all are deleted. */
  take(size: number): string | null;
  /** Deletes all of them. */
  clear(): void;
}

/** What a file is called that a start deletes. */
export const TEMPORARY = '.tmp';
const FIRST_LETTERS = 'spare-';

/** Whether a file is a spare, which gives its place to others. */
export function isSpare(name: string): boolean {
  return name.startsWith(FIRST_LETTERS) && name.endsWith(TEMPORARY);
}

export function createSpares(folder: string): Spares {
  const spares: { readonly path: string; readonly size: number }[] = [];
  let made = 0;
  const clear = (): void => {
    for (const { path } of spares.splice(0)) rmSync(path, { force: true });
  };
  return {
    clear,
    keep: (path) => {
      const { size, nlink } = statSync(path);
      if (nlink > 1) return rmSync(path); // a backup has it under its own name
      const spare = join(folder, `${FIRST_LETTERS}${made++}${TEMPORARY}`);
      renameSync(path, spare);
      spares.push({ path: spare, size });
    },
    take: (size) => {
      const at = spares.findIndex((spare) => spare.size === size);
      if (at >= 0) return spares.splice(at, 1)[0].path;
      clear(); // sizes have changed; so no folder grows by what is of no use
      return null;
    },
  };
}
