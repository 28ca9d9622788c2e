/** @file The bytes of a file in pieces, and whether it stayed the same while it was read. */

import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { TributaryError } from '../../errors.ts';
import type { ReadOptions } from './source.ts';

/** What tells one state of a file from another. */
export interface FileState {
  readonly bytes: number;
  readonly modified: number;
  readonly inode: number;
}

/** @throws TributaryError `file.wrong-kind` for what is no file; the system's error where there is none */
export async function stateOf(path: string): Promise<FileState> {
  const found = await stat(path);
  if (!found.isFile()) throw new TributaryError('file.wrong-kind', `${path} is a folder, not a file.`);
  return { bytes: found.size, modified: found.mtimeMs, inode: found.ino };
}

/** @throws TributaryError `data.file-changed` where the file is not as it was */
export async function requireUnchanged(path: string, before: FileState): Promise<void> {
  const now = await stateOf(path).catch((cause: unknown) => {
    throw new TributaryError('data.file-changed', `${path} was removed while it was read.`, { cause });
  });
  if (now.bytes === before.bytes && now.modified === before.modified && now.inode === before.inode) return;
  throw new TributaryError('data.file-changed', `${path} was changed while it was read.`);
}

/**
 * The file in pieces of at most `pieceBytes`, each in memory of its own.
 * @throws TributaryError `data.file-changed` when the file is shorter than it was
 */
export async function* readPieces(
  path: string,
  {
    from = 0,
    pieceBytes = 256 * 1024,
    signal,
    onBytes,
  }: { from?: number; pieceBytes?: number } & ReadOptions = {},
): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    for (let position = from; position < size;) {
      signal?.throwIfAborted();
      const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, size - position));
      const { bytesRead } = await file.read(piece, 0, piece.length, position);
      if (bytesRead === 0) {
        throw new TributaryError('data.file-changed', `${path} became shorter while it was read.`);
      }
      position += bytesRead;
      const filled = piece.subarray(0, bytesRead);
      onBytes?.(filled);
      yield filled;
    }
  } finally {
    await file.close();
  }
}

/** At most `length` bytes from `position` on. */
export async function readSlice(path: string, position: number, length: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const slice = Buffer.alloc(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await file.read(slice, filled, length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return slice.subarray(0, filled);
  } finally {
    await file.close();
  }
}

/** SHA-256 of a file in hexadecimal digits. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of readPieces(path, { pieceBytes: 1024 * 1024, signal })) hash.update(piece);
  return hash.digest('hex');
}
