/**
 * @file A folder of blobs named by their SHA-256: adapters, updates, aggregates. A blob is either wholly there,
 * verified and synced, or not there at all; unfinished ones lie beside it as `<hash>.part`.
 */

import { createHash } from 'node:crypto';
import { existsSync, rmSync, statSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { TributaryError } from '../errors.ts';
import { machine } from '../machine.ts';
import { createBlobWriter, infoOf } from './blob-writer.ts';
import type { BlobWriter, WriteOptions } from './blob-writer.ts';
import { openPartial } from './partial.ts';
import type { BlobInfo, PartialBlob } from './partial.ts';
import { CHUNK_BYTES } from './shapes.ts';
import type { BlobReference } from './shapes.ts';
import { createSpares, TEMPORARY } from './spares.ts';

/** A blob that is open for reading; nothing is written over it until it is closed. */
export type OpenBlob = Pick<FileHandle, 'fd' | 'read' | 'close'>;

export interface BlobStore {
  /** Whether the whole blob is there. */
  has(hash: string): boolean;
  /** Its size in bytes, or null. */
  size(hash: string): number | null;
  /** Where the blob lies or would lie. */
  path(hash: string): string;
  /** Stores bytes, durably, and says what to call them. Throws `disk.full`. */
  put(bytes: Uint8Array, options?: WriteOptions): Promise<BlobReference>;
  /** Begins a blob of so many bytes that is written part by part. Throws `disk.full`. */
  write(size: number, options?: WriteOptions): Promise<BlobWriter>;
  /** The whole content, verified. Throws `blob.missing` or `blob.damaged`. */
  read(hash: string): Promise<Buffer>;
  /** Reads all of it and throws `blob.missing`, or `blob.damaged` where the disk has changed it. */
  verify(hash: string): Promise<void>;
  /** Like `verify`, but believes what this process has itself written or verified before. */
  require(hash: string): Promise<void>;
  /** Opens it for reading in parts. Throws `blob.missing`. */
  open(hash: string): Promise<OpenBlob>;
  /**
   * Size and hash of every chunk, verified against the whole hash unless they were hashed when the blob was written or
   * arrived. Throws `blob.missing` or `blob.damaged`.
   */
  describe(hash: string): Promise<BlobInfo>;
  /** What is known of an unfinished blob from before, or null. Throws `disk.full` where there is no room for it. */
  resume(blob: BlobReference): Promise<PartialBlob | null>;
  /**
   * Begins an unfinished blob, or goes on with it if its chunks are the same. A new one waits for nothing, so that no
   * chunk has to; `resume` has asked for room before.
   */
  begin(info: BlobInfo, options?: Pick<WriteOptions, 'replaceable'>): Promise<PartialBlob>;
  remove(hash: string): Promise<void>;
  /**
   * Removes all blobs but those to keep, and unfinished ones with them. Returns how many blobs went. `keep` is
   * asked for each file at its turn, so that it may know of blobs that begin to arrive meanwhile. With `goesOn` more
   * blobs of the same sizes will come and take the places of those that go; until then they lie there without a name.
   */
  collectGarbage(
    keep: Pick<ReadonlySet<string>, 'has'>,
    options?: { readonly goesOn?: boolean },
  ): Promise<number>;
}

/**
 * Blobs that are synced at a time where many arrive: the system has four threads for files, and a blob that begins to
 * arrive, whose first chunks are in memory, must not wait behind a hundred that end.
 */
const SYNCED_AT_ONCE = 2;

/** Bytes that are read at a time where all of a blob is hashed. */
const PASS_BYTES = 2 ** 20;

/** Opens the folder, making it if need be, and clears away what a crash left half written. */
export async function openBlobStore(folder: string): Promise<BlobStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(folder)) {
    if (name.endsWith(TEMPORARY)) await rm(join(folder, name), { force: true });
  }
  const inTurn = atMost(SYNCED_AT_ONCE);
  const spares = createSpares(folder);
  /** How often each blob is open. */
  const readers = new Map<string, number>();
  const described = new Map<string, Promise<BlobInfo>>();
  /** What this process has written or verified. */
  const known = new Set<string>();
  const forget = (hash: string): void => {
    described.delete(hash);
    known.delete(hash);
  };
  const path = (hash: string): string => {
    if (!/^[0-9a-f]{64}$/.test(hash)) throw new TypeError(`${hash} is not a SHA-256 in hexadecimal.`);
    return join(folder, hash);
  };
  const has = (hash: string): boolean => existsSync(path(hash));
  const remove = async (hash: string): Promise<void> => {
    forget(hash);
    for (const suffix of ['', '.part', '.chunks']) await rm(path(hash) + suffix, { force: true });
  };
  const countReaders = (hash: string, more: 1 | -1): void => {
    const count = (readers.get(hash) ?? 0) + more;
    if (count > 0) readers.set(hash, count);
    else readers.delete(hash);
  };
  const openBlob = async (hash: string): Promise<OpenBlob> => {
    countReaders(hash, 1);
    try {
      const file = await open(path(hash), 'r');
      return {
        fd: file.fd,
        read: file.read.bind(file),
        close: () => file.close().finally(() => countReaders(hash, -1)),
      };
    } catch (error) {
      countReaders(hash, -1);
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new TributaryError('blob.missing', `The blob ${hash} is not in ${folder}.`);
    }
  };

  const keepInfo = (info: BlobInfo): void => {
    known.add(info.hash);
    described.set(info.hash, Promise.resolve(info));
  };
  /** Refuses before writing what cannot fit, rather than after most of it. */
  const requireSpace = async (bytes: number): Promise<void> => {
    if ((await machine.freeBytes(folder)) >= bytes) return;
    spares.clear();
    const free = await machine.freeBytes(folder);
    if (free < bytes)
      throw new TributaryError('disk.full', `${folder} has ${free} bytes free; ${bytes} are needed.`);
  };
  const write: BlobStore['write'] = async (size, options = {}) => {
    await requireSpace(size);
    return createBlobWriter(folder, { ...options, spare: spares.take(size) }, (blob, chunkHashes) => {
      known.add(blob.hash);
      if (chunkHashes !== null) keepInfo(infoOf(blob, chunkHashes));
    });
  };
  const verify = async (hash: string): Promise<void> => {
    const file = await openBlob(hash);
    try {
      const whole = createHash('sha256');
      const buffer = Buffer.allocUnsafe(PASS_BYTES);
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, PASS_BYTES);
        if (bytesRead === 0) break;
        whole.update(buffer.subarray(0, bytesRead));
      }
      if (whole.digest('hex') !== hash) throw damaged(path(hash));
    } finally {
      await file.close();
    }
  };

  return {
    has,
    path,
    remove,
    open: openBlob,
    size: (hash) => (has(hash) ? statSync(path(hash)).size : null),

    write,
    verify,

    put: async (bytes, options) => {
      const writer = await write(bytes.length, options);
      try {
        writer.append(bytes);
      } catch (error) {
        await writer.abandon();
        throw error;
      }
      return writer.finish();
    },

    require: async (hash) => {
      if (!known.has(hash) || !has(hash)) await verify(hash);
      known.add(hash);
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

    resume: async ({ hash, size }) => {
      await requireSpace(size);
      return openPartial(path(hash), hash, null);
    },
    begin: async (info, options) => {
      const partial = await openPartial(path(info.hash), info.hash, info, () => spares.take(info.size));
      if (partial === null)
        throw new TributaryError('blob.damaged', `${path(info.hash)}.part cannot be written.`);
      return {
        ...partial,
        complete: async () => {
          await inTurn(() => partial.complete(options));
          keepInfo(info);
        },
      };
    },

    collectGarbage: async (keep, { goesOn = false } = {}) => {
      if (!goesOn) spares.clear();
      let removed = 0;
      for (const name of await readdir(folder)) {
        const hash = name.slice(0, 64);
        if (!/^[0-9a-f]{64}$/.test(hash) || keep.has(hash)) continue;
        if (name === hash) removed += 1;
        forget(hash);
        // At once, so that nobody finds it there and relies on it in between.
        if (goesOn && name === hash && !readers.has(hash)) spares.keep(join(folder, name));
        else rmSync(join(folder, name), { force: true });
      }
      return removed;
    },
  };
}

/** Runs so many works at a time, the others in the order in which they came. */
function atMost(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = count;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

async function describeBlob(
  hash: string,
  path: string,
  openBlob: (hash: string) => Promise<OpenBlob>,
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
    return infoOf({ hash, size }, chunkHashes);
  } finally {
    await file.close();
  }
}

function damaged(path: string): TributaryError {
  return new TributaryError('blob.damaged', `${path} does not have the hash that it is named by.`);
}
