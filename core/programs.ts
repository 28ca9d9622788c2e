/** @file Where the built programs and the built window lie. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TributaryError } from './errors.ts';

/**
 * Path of a program of the build, such as `training-process`: beside the running program, or in `out/` when the
 * sources run under test.
 * @throws TributaryError `internal.not-built`
 */
export function programPath(name: string): string {
  return findBuilt(`${name}.js`, `The program ${name} has not been built.`);
}

/** Folder of the built window. @throws TributaryError `internal.not-built` */
export function windowPages(): string {
  // Its sources have an index.html too.
  return dirname(findBuilt(join('renderer', 'assets'), 'The window has not been built.'));
}

/** Path of the built preload of the desktop's window. @throws TributaryError `internal.not-built` */
export function preloadPath(): string {
  return findBuilt(join('desktop', 'preload.cjs'), 'The preload has not been built.');
}

function findBuilt(file: string, otherwise: string): string {
  const here = import.meta.dirname;
  const found = [here, join(here, '..'), join(here, '..', 'out')]
    .map((folder) => join(folder, file))
    .find((path) => existsSync(path));
  if (!found) throw new TributaryError('internal.not-built', otherwise);
  return found;
}
