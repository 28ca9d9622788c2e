/** @file A blob that is being written part by part, hashed on the way: its bytes are never in memory as a whole. */

import { createHash, randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../files.ts';
import type { BlobInfo } from './partial.ts';
import { CHUNK_BYTES } from './shapes.ts';
import type { BlobReference } from './shapes.ts';
import { TEMPORARY } from './spares.ts';

export interface WriteOptions {
  /** It will be sent: its chunks are hashed while its bytes are at hand. */
  readonly toSend?: boolean;
  /** It can be had again: losing it with the power does no harm, so it is not synced. */
  readonly replaceable?: boolean;
}

export interface BlobWriter {
  /** Takes the bytes, which may change afterwards. */
  append(bytes: Uint8Array): void;
  /** Gives the blob its name once all of it is on disk. */
  finish(): Promise<BlobReference>;
  /** Leaves nothing behind. */
  abandon(): Promise<void>;
}

/** Bytes after which the disk begins to write, while more are computed. */
const SYNC_BYTES = 4 * 2 ** 20;

/** Begins a blob in a folder, over a spare file or in a new one; `onFinished` is told of it once it has its name. */
export async function createBlobWriter(
  folder: string,
  { toSend = false, replaceable = false, spare }: WriteOptions & { readonly spare: string | null },
  onFinished: (blob: BlobReference, chunkHashes: Uint8Array[] | null) => void,
): Promise<BlobWriter> {
  const temporary = spare ?? join(folder, `${randomBytes(8).toString('hex')}${TEMPORARY}`);
  const file = await open(temporary, spare === null ? 'wx' : 'r+', 0o600);
  const whole = createHash('sha256');
  const chunkHashes: Uint8Array[] = [];
  let chunk = createHash('sha256');
  let written = 0;
  let syncing = Promise.resolve();
  let asked = 0;

  const abandon = async (): Promise<void> => {
    await syncing.catch(() => undefined);
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
  };

  const endChunk = (): void => {
    chunkHashes.push(chunk.digest());
    chunk = createHash('sha256');
  };
  const hashChunks = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + CHUNK_BYTES - ((written + at) % CHUNK_BYTES));
      chunk.update(part);
      at += part.length;
      if ((written + at) % CHUNK_BYTES === 0) endChunk();
    }
  };

  return {
    abandon,
    append: (bytes) => {
      whole.update(bytes);
      if (toSend) hashChunks(bytes);
      // Into the system's cache: waking a thread for it takes longer than the copy.
      for (let at = 0; at < bytes.length;) {
        const count = writeSync(file.fd, bytes, at, bytes.length - at);
        at += count;
        written += count;
      }
      if (replaceable || written - asked < SYNC_BYTES) return;
      asked = written;
      syncing = syncing.then(() => file.datasync());
      syncing.catch(() => undefined); // told at the end
    },
    finish: async () => {
      try {
        if (written % CHUNK_BYTES !== 0) endChunk();
        await syncing;
        if (spare !== null) await file.truncate(written);
        if (!replaceable) await file.sync();
        await file.close();
        const blob = { hash: whole.digest('hex'), size: written };
        await rename(temporary, join(folder, blob.hash));
        if (!replaceable) await syncFolder(folder);
        onFinished(blob, toSend ? chunkHashes : null);
        return blob;
      } catch (error) {
        await abandon();
        throw error;
      }
    },
  };
}

/** What is known of a blob whose chunks were hashed. */
export function infoOf({ hash, size }: BlobReference, chunkHashes: Uint8Array[]): BlobInfo {
  return { hash, size, chunkSize: CHUNK_BYTES, chunkHashes };
}
