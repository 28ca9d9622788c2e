/**
 * @file A blob that is still arriving: `<hash>.part` holds the chunks that came so far at their places,
 * `<hash>.chunks` says what every chunk must hash to. Which chunks are there is read off the bytes themselves,
 * so a crash or a loss of power between two writes cannot make a hole look filled.
 */

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { syncFolder } from '../files.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { bytesShape, hashShape, MAX_CHUNK_BYTES } from './shapes.ts';

const close = promisify(fs.close);
const read = promisify(fs.read);
const sync = promisify(fs.fsync);
const truncate = promisify(fs.ftruncate);

const infoShape = z.strictObject({
  hash: hashShape,
  size: z.int().min(0),
  chunkSize: z.int().min(1).max(MAX_CHUNK_BYTES),
  chunkHashes: z.array(bytesShape(32)),
});

/** A blob's parts: all chunks are `chunkSize` bytes long but the last. */
export type BlobInfo = z.infer<typeof infoShape>;

export interface PartialBlob {
  readonly info: BlobInfo;
  /** Chunks that are there, as inclusive ranges. */
  have(): [number, number][];
  /** Chunks that are there, counted, and their bytes. */
  progress(): { readonly chunks: number; readonly bytes: number };
  /** Keeps a chunk; a repeated one does no harm. Throws `transfer.corrupt` where its length is wrong. */
  write(index: number, bytes: Uint8Array): Promise<void>;
  /**
   * Verifies the whole, syncs it unless it is replaceable, and gives it its name. Throws `transfer.corrupt`: what chunks
   * are good stay for the next time, unless all are and only the whole has another hash.
   */
  complete(options?: { readonly replaceable?: boolean }): Promise<void>;
  /** Lets go of the files; what is there stays for the next time. */
  close(): Promise<void>;
}

/** Number of chunks of a blob. */
export function chunkCount(info: Pick<BlobInfo, 'size' | 'chunkSize'>): number {
  return Math.ceil(info.size / info.chunkSize);
}

/**
 * Goes on with what lies at `path`.part, or begins it if `info` is given, over the file that `takeSpare` gives; null if
 * there is nothing to go on with.
 */
export async function openPartial(
  path: string,
  hash: string,
  info: BlobInfo | null,
  takeSpare: () => string | null = () => null,
): Promise<PartialBlob | null> {
  const before = readInfo(`${path}.chunks`, hash);
  const agrees =
    before !== null && (info === null || Buffer.compare(encodeCbor(before), encodeCbor(info)) === 0);
  const current = agrees ? before : info;
  if (current === null) return null;
  if (agrees) {
    fs.closeSync(fs.openSync(`${path}.part`, 'a', 0o600));
    const file = fs.openSync(`${path}.part`, 'r+');
    return makePartial(path, file, current, await findChunks(file, current));
  }
  // Not synced: where a crash leaves half of it, it is not readable and the transfer starts afresh. All of it at once, for
  // behind the disk's other work chunks of a hundred sites would wait in memory meanwhile.
  fs.writeFileSync(`${path}.chunks`, encodeCbor(current), { mode: 0o600 });
  const spare = takeSpare();
  if (spare !== null) fs.renameSync(spare, `${path}.part`);
  const file = fs.openSync(`${path}.part`, spare === null ? 'w+' : 'r+', 0o600);
  return makePartial(path, file, current, new Array<boolean>(chunkCount(current)).fill(false));
}

function readInfo(path: string, hash: string): BlobInfo | null {
  try {
    const info = infoShape.parse(decodeCbor(fs.readFileSync(path)));
    return info.hash === hash && info.chunkHashes.length === chunkCount(info) ? info : null;
  } catch {
    return null; // absent or unreadable: the transfer starts afresh
  }
}

async function findChunks(file: number, info: BlobInfo): Promise<boolean[]> {
  const { size } = fs.fstatSync(file);
  const buffer = Buffer.allocUnsafe(info.chunkSize);
  const there: boolean[] = [];
  for (let index = 0; index < chunkCount(info); index++) {
    const length = lengthOf(info, index);
    const start = index * info.chunkSize;
    let found = false;
    if (start + length <= size) {
      await read(file, buffer, 0, length, start);
      found = isChunk(info, index, buffer.subarray(0, length));
    }
    there.push(found);
  }
  return there;
}

function makePartial(path: string, opened: number, info: BlobInfo, there: boolean[]): PartialBlob {
  /** −1 once it is closed: the system may give its number to another file. */
  let file = opened;
  const closeOnce = async (): Promise<void> => {
    const open = file;
    file = -1;
    if (open !== -1) await close(open);
  };
  let chunks = 0;
  let present = 0;
  /** The hash of so many chunks from the beginning: those that came in order need not be read again. */
  const whole = createHash('sha256');
  let hashed = 0;
  const count = (index: number): void => {
    chunks += 1;
    present += lengthOf(info, index);
  };
  for (const [index, found] of there.entries()) if (found) count(index);
  return {
    info,
    have: () => {
      const ranges: [number, number][] = [];
      for (const [index, found] of there.entries()) {
        const last = ranges.at(-1);
        if (found && last !== undefined && last[1] === index - 1) last[1] = index;
        else if (found) ranges.push([index, index]);
      }
      return ranges;
    },
    progress: () => ({ chunks, bytes: present }),
    write: (index, bytes) => {
      if (!(index in there) || bytes.length !== lengthOf(info, index)) {
        const what = `Chunk ${index} of ${info.hash} arrived damaged.`;
        return Promise.reject(new TributaryError('transfer.corrupt', what));
      }
      if (there[index]) return Promise.resolve();
      // Into the system's cache: waking a thread for it takes longer than the copy.
      for (let at = 0; at < bytes.length;) {
        at += fs.writeSync(file, bytes, at, bytes.length - at, index * info.chunkSize + at);
      }
      if (index === hashed) {
        whole.update(bytes);
        hashed += 1;
      }
      there[index] = true;
      count(index);
      return Promise.resolve();
    },
    complete: async ({ replaceable = false } = {}) => {
      try {
        await truncate(file, info.size);
        if (hashed < chunkCount(info)) {
          const buffer = Buffer.allocUnsafe(info.chunkSize);
          for (let start = hashed * info.chunkSize; start < info.size; start += info.chunkSize) {
            const { bytesRead } = await read(file, buffer, 0, info.chunkSize, start);
            whole.update(buffer.subarray(0, bytesRead));
          }
        }
        if (whole.digest('hex') !== info.hash) {
          // Only now are the chunks looked at one by one: a hash of each and one of the whole take twice the time.
          const isLie = (await findChunks(file, info)).every((found) => found);
          if (isLie) for (const suffix of ['.part', '.chunks']) await rm(path + suffix, { force: true });
          throw new TributaryError('transfer.corrupt', `What arrived as ${info.hash} has another hash.`);
        }
        if (!replaceable) await sync(file);
      } finally {
        await closeOnce();
      }
      await rename(`${path}.part`, path);
      await rm(`${path}.chunks`, { force: true });
      if (!replaceable) await syncFolder(dirname(path));
    },
    close: closeOnce,
  };
}

function lengthOf(info: BlobInfo, index: number): number {
  return Math.min(info.chunkSize, info.size - index * info.chunkSize);
}

function isChunk(info: BlobInfo, index: number, bytes: Uint8Array): boolean {
  return createHash('sha256').update(bytes).digest().equals(info.chunkHashes[index]);
}
