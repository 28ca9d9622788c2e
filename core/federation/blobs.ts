/**
 * @file A folder of blobs named by their SHA-256: adapters, updates, aggregates. A blob is either wholly there,
 * verified and synced, or not there at all; unfinished ones lie beside it as `<hash>.part`.
 */

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { TributaryError } from '../errors.ts';
import { syncFolder } from '../files.ts';
import { machine } from '../machine.ts';
import { openPartial } from './partial.ts';
import type { BlobInfo, PartialBlob } from './partial.ts';
import { CHUNK_BYTES } from './shapes.ts';
import type { BlobReference } from './shapes.ts';

export interface BlobStore {
  /** Whether the whole blob is there. */
  has(hash: string): boolean;
  /** Its size in bytes, or null. */
  size(hash: string): number | null;
  /** Where the blob lies or would lie. */
  path(hash: string): string;
  /** Stores bytes, durably, and says what to call them. */
  put(bytes: Uint8Array): Promise<BlobReference>;
  /** The whole content, verified. Throws `blob.missing` or `blob.damaged`. */
  read(hash: string): Promise<Buffer>;
  /** Opens it for reading in parts. Throws `blob.missing`. */
  open(hash: string): Promise<FileHandle>;
  /** Size and hash of every chunk, verified against the whole hash. Throws `blob.missing` or `blob.damaged`. */
  describe(hash: string): Promise<BlobInfo>;
  /** What is known of an unfinished blob from before, or null. */
  resume(hash: string): Promise<PartialBlob | null>;
  /** Begins an unfinished blob, or goes on with it if its chunks are the same. Throws `disk.full`. */
  begin(info: BlobInfo): Promise<PartialBlob>;
  remove(hash: string): Promise<void>;
  /**
   * Removes all blobs but those to keep, and unfinished ones with them. Returns how many blobs went. `keep` is
   * asked for each file at its turn, so that it may know of blobs that begin to arrive meanwhile.
   */
  collectGarbage(keep: Pick<ReadonlySet<string>, 'has'>): Promise<number>;
}

/** Opens the folder, making it if need be, and clears away what a crash left half written. */
export async function openBlobStore(folder: string): Promise<BlobStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(folder)) {
    if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true });
  }
  const described = new Map<string, Promise<BlobInfo>>();
  const path = (hash: string): string => {
    if (!/^[0-9a-f]{64}$/.test(hash)) throw new TypeError(`${hash} is not a SHA-256 in hexadecimal.`);
    return join(folder, hash);
  };
  const has = (hash: string): boolean => existsSync(path(hash));
  const remove = async (hash: string): Promise<void> => {
    described.delete(hash);
    for (const suffix of ['', '.part', '.chunks']) await rm(path(hash) + suffix, { force: true });
  };
  const openBlob = async (hash: string): Promise<FileHandle> => {
    try {
      return await open(path(hash), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new TributaryError('blob.missing', `The blob ${hash} is not in ${folder}.`);
    }
  };

  return {
    has,
    path,
    remove,
    open: openBlob,
    size: (hash) => (has(hash) ? statSync(path(hash)).size : null),

    put: async (bytes) => {
      const hash = createHash('sha256').update(bytes).digest('hex');
      if (!has(hash)) {
        await requireSpace(folder, bytes.length);
        const temporary = join(folder, `${randomBytes(8).toString('hex')}.tmp`);
        const file = await open(temporary, 'wx', 0o600);
        try {
          await file.writeFile(bytes);
          await file.sync();
        } catch (error) {
          await rm(temporary, { force: true });
          throw error;
        } finally {
          await file.close();
        }
        await rename(temporary, path(hash));
        await syncFolder(folder);
      }
      return { hash, size: bytes.length };
    },

    read: async (hash) => {
      if (!has(hash)) throw new TributaryError('blob.missing', `The blob ${hash} is not in ${folder}.`);
      const bytes = await readFile(path(hash));
      if (createHash('sha256').update(bytes).digest('hex') !== hash) throw damaged(path(hash));
      return bytes;
    },

    describe: (hash) => {
      let known = described.get(hash);
      if (known === undefined) {
        known = describeBlob(hash, path(hash), openBlob);
        known.catch(() => described.delete(hash));
        described.set(hash, known);
      }
      return known;
    },

    resume: (hash) => openPartial(path(hash), hash, null),
    begin: async (info) => {
      await requireSpace(folder, info.size);
      const partial = await openPartial(path(info.hash), info.hash, info);
      if (partial === null)
        throw new TributaryError('blob.damaged', `${path(info.hash)}.part cannot be written.`);
      return partial;
    },

    collectGarbage: async (keep) => {
      let removed = 0;
      for (const name of await readdir(folder)) {
        const hash = name.slice(0, 64);
        if (!/^[0-9a-f]{64}$/.test(hash) || keep.has(hash)) continue;
        if (name === hash) removed += 1;
        described.delete(hash);
        await rm(join(folder, name), { force: true });
      }
      return removed;
    },
  };
}

async function describeBlob(
  hash: string,
  path: string,
  openBlob: (hash: string) => Promise<FileHandle>,
): Promise<BlobInfo> {
  const file = await openBlob(hash);
  try {
    const whole = createHash('sha256');
    const chunkHashes: Uint8Array[] = [];
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let size = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, size);
      if (bytesRead === 0) break;
      const chunk = buffer.subarray(0, bytesRead);
      whole.update(chunk);
      chunkHashes.push(createHash('sha256').update(chunk).digest());
      size += bytesRead;
    }
    if (whole.digest('hex') !== hash) throw damaged(path);
    return { hash, size, chunkSize: CHUNK_BYTES, chunkHashes };
  } finally {
    await file.close();
  }
}

/** Refuses before writing what cannot fit, rather than after most of it. */
async function requireSpace(folder: string, bytes: number): Promise<void> {
  const free = await machine.freeBytes(folder);
  if (free < bytes) {
    throw new TributaryError('disk.full', `${folder} has ${free} bytes free; ${bytes} are needed.`);
  }
}

function damaged(path: string): TributaryError {
  return new TributaryError('blob.damaged', `${path} does not have the hash that it is named by.`);
}
