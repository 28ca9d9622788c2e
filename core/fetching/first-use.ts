/**
 * @file Trust on first use: the hashes of files that their catalogue does not pin, as they were when a file was first
 * used on this machine. A file with another hash is refused from then on.
 */

import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { toTributaryError, TributaryError } from '../errors.ts';
import { writeFileAtomically } from '../files.ts';
import type { FileKind, WantedFile } from './wanted.ts';

const FILE = 'first-use.json';
const schema = z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/));

/** Where the files of a catalogue lie, and of what kind they are. */
export interface FilePlace {
  readonly folder: string;
  readonly kind: FileKind;
}

/** Hash by id of the catalogue. Throws the code of the kind's `damaged`. */
export async function firstUses({ folder, kind }: FilePlace): Promise<Readonly<Record<string, string>>> {
  const path = join(folder, FILE);
  if (!existsSync(path)) return {};
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    throw new TributaryError(kind.damaged, `${path} is not a list of hashes.`, {
      cause,
      hint: `Restore the file, or delete it to trust each ${kind.noun} anew at its next use.`,
    });
  }
}

/**
 * Compares a file's hash with the catalogue's or, for an unpinned one, with that of its first use, which this
 * remembers. Throws the codes of the kind, `file.*` and `disk.full`.
 * @returns whether this was the first use of an unpinned file
 */
export async function acceptHash(
  wanted: Pick<WantedFile, 'id' | 'sha256'>,
  file: { readonly path: string; readonly sha256: string },
  place: FilePlace,
): Promise<boolean> {
  const { path, sha256 } = file;
  const { folder, kind } = place;
  if (wanted.sha256 !== null) {
    if (wanted.sha256 === sha256) return false;
    throw new TributaryError(kind.otherHash, `${path} has sha256 ${sha256}, not ${wanted.sha256}.`);
  }
  const known = await firstUses(place);
  if (Object.hasOwn(known, wanted.id)) {
    if (known[wanted.id] === sha256) return false;
    const what = `${path} has sha256 ${sha256}, but ${wanted.id} had ${known[wanted.id]} when it was first used here`;
    throw new TributaryError(kind.otherHash, `${what}.`, {
      hint: `The file has changed. If you trust it, remove ${wanted.id} from ${join(folder, FILE)}.`,
    });
  }
  try {
    await mkdir(folder, { recursive: true });
    const all = { ...(await firstUses(place)), [wanted.id]: sha256 };
    await writeFileAtomically(join(folder, FILE), `${JSON.stringify(all, null, 2)}\n`);
  } catch (error) {
    throw toTributaryError(error);
  }
  return true;
}
