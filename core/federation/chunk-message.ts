/**
 * @file `blob-chunk`, the one long message, to CBOR and back without a copy of its bytes. What is written is what
 * `encodeMessage` writes, byte for byte; what is read is only that, and anything else is left to `decodeMessage`.
 */

import { hashShape, MAX_CHUNK_BYTES } from './shapes.ts';

export interface Chunk {
  readonly hash: string;
  readonly index: number;
  readonly bytes: Uint8Array;
}

const [UNSIGNED, BYTES] = [0, 2];
const LARGEST_INDEX = 0xffff_ffff;
/** A map of three; keys are sorted by length, then by letters. */
const FIRST_KEY = Buffer.from('a364686173687840', 'hex'); // {"hash": a text of 64 bytes
const SECOND_KEY = Buffer.from('656279746573', 'hex'); // "bytes":
const THIRD_KEY = Buffer.from('65696e646578', 'hex'); // "index":
const HASH_LENGTH = 64;
/** Where the length of the bytes stands. */
const LENGTH_AT = FIRST_KEY.length + HASH_LENGTH + SECOND_KEY.length;

/** Type and argument of an item, as short as can be (RFC 8949, section 3). */
function itemHead(major: number, value: number): Buffer {
  const type = major << 5;
  if (value < 24) return Buffer.of(type | value);
  const size = value < 2 ** 8 ? 1 : value < 2 ** 16 ? 2 : 4;
  const head = Buffer.allocUnsafe(1 + size);
  head[0] = type | (23 + (size === 4 ? 3 : size));
  head.writeUIntBE(value, 1, size);
  return head;
}

/** The body before the bytes and after them, or null where a field is out of bounds. */
export function encodeAround({ hash, index, bytes }: Chunk): readonly [Buffer, Buffer] | null {
  const isWhole = Number.isInteger(index) && index >= 0 && index <= LARGEST_INDEX;
  if (!isWhole || bytes.length === 0 || bytes.length > MAX_CHUNK_BYTES || !hashShape.safeParse(hash).success)
    return null;
  const before = [FIRST_KEY, Buffer.from(hash, 'latin1'), SECOND_KEY, itemHead(BYTES, bytes.length)];
  return [Buffer.concat(before), Buffer.concat([THIRD_KEY, itemHead(UNSIGNED, index)])];
}

/** The argument of the item that begins at a place of a body. */
function argumentAt(body: Buffer, at: number): { readonly value: number; readonly end: number } | null {
  const short = (body.at(at) ?? 0xff) & 0x1f;
  if (short < 24) return { value: short, end: at + 1 };
  const size = [1, 2, 4].at(short - 24);
  if (short > 26 || size === undefined || at + 1 + size > body.length) return null;
  return { value: body.readUIntBE(at + 1, size), end: at + 1 + size };
}

/** Reads a body; its bytes are a view. Null where it is not what `encodeAround` makes. */
export function decodeChunk(plaintext: Uint8Array): Chunk | null {
  const body = Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.byteLength);
  const length = argumentAt(body, LENGTH_AT);
  if (length === null) return null;
  const end = length.end + length.value;
  const index = argumentAt(body, end + THIRD_KEY.length);
  if (index?.end !== body.length) return null; // so the bytes end before that
  const hash = body.toString('latin1', FIRST_KEY.length, FIRST_KEY.length + HASH_LENGTH);
  const bytes = new Uint8Array(body.buffer, body.byteOffset + length.end, length.value);
  const chunk = { hash, index: index.value, bytes };
  const around = encodeAround(chunk);
  const isTheSame = around?.[0].equals(body.subarray(0, length.end)) && around[1].equals(body.subarray(end));
  return isTheSame === true ? chunk : null;
}
