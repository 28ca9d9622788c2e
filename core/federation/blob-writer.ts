/** @file A blob that is being written part by part, hashed on the way: its bytes are never in memory as a whole. */

import { createHash, randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../files.ts';
import type { BlobInfo } from './partial.ts';
import { CHUNK_BYTES } from './shapes.ts';
import type { BlobReference } from './shapes.ts';

export interface WriteOptions {
  /** It will be sent: its chunks are hashed while its bytes are at hand. */
  readonly toSend?: boolean;
  /** It can be had again: losing it with the power does no harm, so it is not synced. */
  readonly replaceable?: boolean;
}

export interface BlobWriter {
  /** Takes the bytes, which may change once this has resolved. */
  append(bytes: Uint8Array): Promise<void>;
  /** Gives the blob its name once all of it is on disk. */
  finish(): Promise<BlobReference>;
  /** Leaves nothing behind. */
  abandon(): Promise<void>;
}

/** Bytes that are written at a time. */
const STAGE_BYTES = 8 * CHUNK_BYTES;

/** Begins a blob of `size` bytes in a folder; `onFinished` is told of it once it has its name. */
export async function createBlobWriter(
  folder: string,
  size: number,
  { toSend = false, replaceable = false }: WriteOptions,
  onFinished: (blob: BlobReference, chunkHashes: Uint8Array[] | null) => void,
): Promise<BlobWriter> {
  const temporary = join(folder, `${randomBytes(8).toString('hex')}.tmp`);
  const file = await open(temporary, 'wx', 0o600);
  const whole = createHash('sha256');
  const chunkHashes: Uint8Array[] = [];
  // One is filled while the other is written.
  const length = Math.min(STAGE_BYTES, Math.max(1, size));
  let [stage, other] = [Buffer.allocUnsafeSlow(length), Buffer.allocUnsafeSlow(size > length ? length : 0)];
  let filled = 0;
  let written = 0;
  let writing: Promise<unknown> = Promise.resolve();

  async function flush(): Promise<void> {
    const bytes = stage.subarray(0, filled);
    const before = writing;
    const place = written;
    written += filled;
    filled = 0;
    [stage, other] = [other, stage];
    writing = before.then(() => writeAll(bytes, place));
    writing.catch(() => undefined); // told by whoever awaits it next
    whole.update(bytes);
    for (let at = 0; toSend && at < bytes.length; at += CHUNK_BYTES) {
      chunkHashes.push(
        createHash('sha256')
          .update(bytes.subarray(at, at + CHUNK_BYTES))
          .digest(),
      );
    }
    await before;
  }

  async function writeAll(bytes: Buffer, place: number): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, at, bytes.length - at, place + at);
      at += bytesWritten;
    }
  }

  const abandon = async (): Promise<void> => {
    await writing.catch(() => undefined);
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
  };

  return {
    abandon,
    append: async (bytes) => {
      for (let at = 0; at < bytes.length;) {
        const count = Math.min(bytes.length - at, length - filled);
        stage.set(bytes.subarray(at, at + count), filled);
        filled += count;
        at += count;
        if (filled === length) await flush();
      }
    },
    finish: async () => {
      try {
        if (filled > 0) await flush();
        await writing;
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
