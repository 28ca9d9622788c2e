/** @file Which encoding a text file has, told by its bytes, and its text as UTF-8. */

import { isUtf8 } from 'node:buffer';
import { TributaryError } from '../../errors.ts';
import { readSlice } from './bytes.ts';
import type { Encoding } from './source.ts';

/** The beginning that is always looked at, and the places beyond it of which a large file is judged. */
const BEGINNING_BYTES = 16 * 1024 * 1024;
const PLACES = 16;
const PLACE_BYTES = 256 * 1024;

const NAMES: Readonly<Record<Encoding, string>> = {
  'utf-8': 'UTF-8',
  'utf-16le': 'UTF-16 (little endian)',
  'utf-16be': 'UTF-16 (big endian)',
  'windows-1252': 'Windows-1252',
  gb18030: 'GB18030',
};

export interface DetectedEncoding {
  readonly encoding: Encoding;
  readonly reason: string;
}

/** The encoding of a file, by its byte-order mark or by what its bytes can and cannot be. */
export async function detectEncoding(path: string, bytes: number): Promise<DetectedEncoding> {
  const beginning = await readSlice(path, 0, Math.min(bytes, BEGINNING_BYTES));
  const places = [beginning];
  const step = (bytes - beginning.length) / PLACES;
  if (step >= 1) {
    for (let place = 0; place < PLACES; place++) {
      places.push(await readSlice(path, Math.floor(beginning.length + place * step), PLACE_BYTES));
    }
  }
  return detectFromBytes(beginning, places);
}

/** @param places parts of the file, of which the first is its beginning */
export function detectFromBytes(
  beginning: Buffer,
  places: readonly Buffer[] = [beginning],
): DetectedEncoding {
  const marks: readonly (readonly [Encoding, readonly number[]])[] = [
    ['utf-8', [0xef, 0xbb, 0xbf]],
    ['utf-16le', [0xff, 0xfe]],
    ['utf-16be', [0xfe, 0xff]],
  ];
  for (const [encoding, mark] of marks) {
    if (mark.every((byte, index) => beginning[index] === byte))
      return { encoding, reason: `It begins with the byte-order mark of ${NAMES[encoding]}.` };
  }
  const wide = wideEncoding(beginning.subarray(0, PLACE_BYTES));
  if (wide !== null) return { encoding: wide, reason: 'Every other byte is zero, as in UTF-16.' };
  if (places.every((place) => isUtf8(wholeCharacters(place)))) {
    const ascii = places.every((place) => place.every((byte) => byte < 0x80));
    return { encoding: 'utf-8', reason: ascii ? 'It holds ASCII alone.' : 'All its bytes are valid UTF-8.' };
  }
  if (places.some(looksLikeGb18030) && !places.some(looksWestern)) {
    return {
      encoding: 'gb18030',
      reason: 'It is not UTF-8, and bytes above 127 come in pairs, as in GB18030.',
    };
  }
  return {
    encoding: 'windows-1252',
    reason: 'It is not UTF-8, and bytes above 127 stand alone, as in Windows-1252.',
  };
}

/** UTF-16 without a mark: Latin text has a zero in every other byte. */
function wideEncoding(bytes: Buffer): Encoding | null {
  let even = 0;
  let odd = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== 0) continue;
    if (at % 2 === 0) even++;
    else odd++;
  }
  const few = bytes.length / 10;
  if (odd > few && even < odd / 10) return 'utf-16le';
  return even > few && odd < even / 10 ? 'utf-16be' : null;
}

/** How many of the bytes above 127 stand alone and how many lie in longer runs. */
function highRuns(bytes: Buffer): { alone: number; together: number } {
  let alone = 0;
  let together = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] < 0x80) continue;
    let end = at + 1;
    while (end < bytes.length && bytes[end] >= 0x80) end++;
    if (end - at === 1) alone++;
    else together += end - at;
    at = end;
  }
  return { alone, together };
}

function looksLikeGb18030(bytes: Buffer): boolean {
  const { alone, together } = highRuns(bytes);
  return together > 2 * alone;
}

function looksWestern(bytes: Buffer): boolean {
  const { alone, together } = highRuns(bytes);
  return alone > together;
}

/** The bytes without the parts of characters that were cut at either end. */
function wholeCharacters(bytes: Buffer): Buffer {
  let start = 0;
  while (start < 3 && start < bytes.length && (bytes[start] & 0xc0) === 0x80) start++;
  return bytes.subarray(start, completeLength(bytes));
}

/** Length of the bytes without an unfinished character of UTF-8 at their end. */
function completeLength(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return size > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

export interface TextPieces {
  readonly path: string;
  readonly encoding: Encoding;
  readonly pieces: AsyncIterable<Buffer>;
}

/**
 * The text in pieces of whole characters of UTF-8, without a byte-order mark, with the bytes of the file read so far.
 * @throws TributaryError `data.encoding` where the bytes are not of that encoding
 */
export async function* textPieces({
  path,
  encoding,
  pieces,
}: TextPieces): AsyncGenerator<{ readonly text: Buffer; readonly bytes: number }> {
  let bytes = 0;
  if (encoding !== 'utf-8') {
    const decoder = new TextDecoder(encoding, { fatal: true });
    const decode = (piece?: Buffer): Buffer => {
      try {
        return Buffer.from(decoder.decode(piece, { stream: piece !== undefined }), 'utf8');
      } catch (cause) {
        throw wrongEncoding(path, encoding, { at: bytes, cause });
      }
    };
    for await (const piece of pieces) {
      const text = decode(piece);
      bytes += piece.length;
      yield { text, bytes };
    }
    yield { text: decode(), bytes };
    return;
  }
  let rest = Buffer.alloc(0);
  let first = true;
  for await (const piece of pieces) {
    let whole = rest.length > 0 ? Buffer.concat([rest, piece]) : piece;
    if (first && whole[0] === 0xef && whole[1] === 0xbb && whole[2] === 0xbf) whole = whole.subarray(3);
    first = false;
    const end = completeLength(whole);
    const text = whole.subarray(0, end);
    if (!isUtf8(text)) throw wrongEncoding(path, encoding, { at: bytes });
    rest = Buffer.from(whole.subarray(end));
    bytes += piece.length;
    yield { text, bytes };
  }
  if (rest.length > 0) throw wrongEncoding(path, encoding, { at: bytes });
}

function wrongEncoding(
  path: string,
  encoding: Encoding,
  { at, cause }: { at: number; cause?: unknown },
): TributaryError {
  return new TributaryError('data.encoding', `${path} is not ${NAMES[encoding]} after byte ${at}.`, {
    cause,
  });
}
