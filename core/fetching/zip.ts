/** @file Takes one member out of a zip file as a stream. Source: PKWARE's APPNOTE 6.3, without zip64. */

import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_SIZE = 22;
const ENTRY_SIZE = 46;
const LOCAL_SIZE = 30;
const LONGEST_COMMENT = 0xffff;
const STORED = 0;
const DEFLATED = 8;

interface Member {
  readonly method: number;
  readonly compressed: number;
  readonly size: number;
  readonly header: number;
}

/**
 * Writes the member to `target`, never more than `bytes`.
 * @throws Error saying what is wrong with the zip file; system errors pass through
 */
export async function extractMember(
  zip: string,
  wanted: { readonly member: string; readonly bytes: number },
  target: string,
): Promise<void> {
  const file = await open(zip, 'r');
  let start: number;
  let found: Member;
  try {
    found = await findMember(file, wanted.member);
    const local = await readAt(file, found.header, LOCAL_SIZE);
    if (local.readUInt32LE(0) !== LOCAL_SIGNATURE) throw new Error('the zip file is damaged');
    start = found.header + LOCAL_SIZE + local.readUInt16LE(26) + local.readUInt16LE(28);
  } finally {
    await file.close();
  }
  if (found.size !== wanted.bytes)
    throw new Error(`${wanted.member} has ${found.size} bytes, not ${wanted.bytes}`);
  let written = 0;
  const guard = new Transform({
    transform(chunk: Buffer, _, done) {
      written += chunk.length;
      if (written > wanted.bytes) done(new Error(`${wanted.member} is longer than the zip file says`));
      else done(null, chunk);
    },
  });
  const source = createReadStream(zip, { start, end: start + Math.max(found.compressed, 1) - 1 });
  const sink = createWriteStream(target);
  if (found.method === STORED) await pipeline(source, guard, sink);
  else if (found.method === DEFLATED) await pipeline(source, createInflateRaw(), guard, sink);
  else throw new Error(`${wanted.member} is compressed by the unknown method ${found.method}`);
  if (written !== wanted.bytes) throw new Error(`${wanted.member} ends after ${written} bytes`);
}

async function findMember(file: FileHandle, name: string): Promise<Member> {
  const { size } = await file.stat();
  const tailSize = Math.min(size, END_SIZE + LONGEST_COMMENT);
  const tail = await readAt(file, size - tailSize, tailSize);
  let end = tail.length - END_SIZE;
  while (end >= 0 && tail.readUInt32LE(end) !== END_SIGNATURE) end--;
  if (end < 0) throw new Error('the zip file is damaged or cut short');
  const directory = await readAt(file, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12), size);
  let at = 0;
  while (at + ENTRY_SIZE <= directory.length && directory.readUInt32LE(at) === ENTRY_SIGNATURE) {
    const nameLength = directory.readUInt16LE(at + 28);
    if (directory.toString('utf8', at + ENTRY_SIZE, at + ENTRY_SIZE + nameLength) === name) {
      return {
        method: directory.readUInt16LE(at + 10),
        compressed: directory.readUInt32LE(at + 20),
        size: directory.readUInt32LE(at + 24),
        header: directory.readUInt32LE(at + 42),
      };
    }
    at += ENTRY_SIZE + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  throw new Error(`the zip file has no member ${name}`);
}

async function readAt(file: FileHandle, position: number, length: number, limit = Infinity): Promise<Buffer> {
  if (position + length > limit) throw new Error('the zip file is damaged or cut short');
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead < length) throw new Error('the zip file is cut short');
  return buffer;
}
