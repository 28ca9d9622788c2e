/** @file Where the built programs lie, for those that start others as child processes. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { TributaryError } from './errors.ts';

/**
 * Path of a program of the build, such as `training-process`: beside the running program, or in `out/` when the
 * sources run under test.
 * @throws TributaryError `internal.not-built`
 */
export function programPath(name: string): string {
  const here = import.meta.dirname;
  const found = [here, join(here, '..'), join(here, '..', 'out')]
    .map((folder) => join(folder, `${name}.js`))
    .find((path) => existsSync(path));
  if (!found) throw new TributaryError('internal.not-built', `The program ${name} has not been built.`);
  return found;
}
