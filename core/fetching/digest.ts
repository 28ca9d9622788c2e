/** @file Hashes of large files. A file that has not changed is hashed once. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../files.ts';

const remembered = z.record(
  z.string(),
  z.object({ size: z.number(), modified: z.number(), inode: z.number(), sha256: z.string() }),
);

/** SHA-256 of a file in hexadecimal, read as a stream; `onBytes` gets the number of bytes read so far. */
export async function sha256OfFile(path: string, onBytes?: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
    onBytes?.(bytes);
  }
  return hash.digest('hex');
}

/**
 * As `sha256OfFile`, but remembers the result in a folder by path, size, time of change and inode. A
 * memory that cannot be read or written only costs the time to hash again.
 */
export async function rememberedSha256(path: string, folder: string): Promise<string> {
  const { size, mtimeMs: modified, ino: inode } = await stat(path);
  const memory = join(folder, '.digests.json');
  const key = resolve(path);
  const entries = await readMemory(memory);
  const known = Object.hasOwn(entries, key) ? entries[key] : undefined;
  if (known?.size === size && known.modified === modified && known.inode === inode) return known.sha256;
  const sha256 = await sha256OfFile(path);
  try {
    await mkdir(folder, { recursive: true });
    const latest = await readMemory(memory);
    await writeFileAtomically(
      memory,
      JSON.stringify({ ...latest, [key]: { size, modified, inode, sha256 } }),
    );
  } catch {
    return sha256;
  }
  return sha256;
}

async function readMemory(path: string): Promise<z.infer<typeof remembered>> {
  try {
    return remembered.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return {};
  }
}
