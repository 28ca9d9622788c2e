/** @file Where the files that come with the project lie. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { TributaryError } from './errors.ts';

/** The folder `resources`, seen from the built program or from the sources. @throws TributaryError `file.not-found` */
export function resourcesFolder(): string {
  const found = ['..', '../..', '../../..']
    .map((up) => join(import.meta.dirname, up, 'resources'))
    .find((path) => existsSync(path));
  if (found === undefined) throw new TributaryError('file.not-found', 'The folder resources is missing.');
  return found;
}
