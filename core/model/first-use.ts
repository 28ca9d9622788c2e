/**
 * @file Trust on first use: the hashes of models that the catalogue does not pin, as they were when a file was first
 * used on this machine. A file with another hash is refused from then on.
 */

import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { toTributaryError, TributaryError } from '../errors.ts';
import { writeFileAtomically } from '../files.ts';
import { modelFolder } from './catalogue.ts';
import type { CatalogueEntry } from './catalogue.ts';

const FILE = 'first-use.json';
const schema = z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/));

/** Hash by id of the catalogue. @throws TributaryError `model.damaged` */
export async function firstUses(folder = modelFolder()): Promise<Readonly<Record<string, string>>> {
  const path = join(folder, FILE);
  if (!existsSync(path)) return {};
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    throw new TributaryError('model.damaged', `${path} is not a list of hashes.`, {
      cause,
      hint: 'Restore the file, or delete it to trust the models anew at their next use.',
    });
  }
}

/**
 * Compares a file's hash with the catalogue's or, for an unpinned model, with that of its first use, which this
 * remembers.
 * @returns whether this was the first use of an unpinned model
 * @throws TributaryError `model.hash-mismatch`, `model.damaged`, `file.*`, `disk.full`
 */
export async function acceptHash(
  entry: CatalogueEntry,
  file: { readonly path: string; readonly sha256: string },
  folder = modelFolder(),
): Promise<boolean> {
  const { path, sha256 } = file;
  if (entry.sha256 !== null) {
    if (entry.sha256 === sha256) return false;
    throw new TributaryError('model.hash-mismatch', `${path} has sha256 ${sha256}, not ${entry.sha256}.`);
  }
  const known = await firstUses(folder);
  if (Object.hasOwn(known, entry.id)) {
    if (known[entry.id] === sha256) return false;
    const what = `${path} has sha256 ${sha256}, but ${entry.id} had ${known[entry.id]} when it was first used here`;
    throw new TributaryError('model.hash-mismatch', `${what}.`, {
      hint: `The file has changed. If you trust it, remove ${entry.id} from ${join(folder, FILE)}.`,
    });
  }
  try {
    await mkdir(folder, { recursive: true });
    const all = { ...(await firstUses(folder)), [entry.id]: sha256 };
    await writeFileAtomically(join(folder, FILE), `${JSON.stringify(all, null, 2)}\n`);
  } catch (error) {
    throw toTributaryError(error);
  }
  return true;
}
