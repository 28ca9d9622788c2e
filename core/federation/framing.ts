/**
 * @file How one frame becomes one WebSocket message: its length (u32) and its plaintext, cut into pieces that
 * are sealed one by one as Noise transport messages, each behind its own length (u16). All big endian.
 */

import { TributaryError } from '../errors.ts';
import { MAX_NOISE_BYTES, TAG_BYTES } from './noise.ts';
import type { Transport } from './noise.ts';

/** Longest plaintext of a frame: a chunk of 1 MiB and its envelope, or a long list of members. */
export const MAX_FRAME_BYTES = 2 * 1024 * 1024;

const PIECE_BYTES = MAX_NOISE_BYTES - TAG_BYTES;
const LENGTH_BYTES = 4;

/** Longest WebSocket message such a frame can become. */
export const MAX_SEALED_BYTES =
  MAX_FRAME_BYTES +
  LENGTH_BYTES +
  (2 + TAG_BYTES) * Math.ceil((MAX_FRAME_BYTES + LENGTH_BYTES) / PIECE_BYTES);

/** Seals a frame's plaintext, which may come in parts. */
export function sealFrame(transport: Transport, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > MAX_FRAME_BYTES) {
    throw new TributaryError('wire.bad-message', `A frame of ${length} bytes is too long to send.`);
  }
  const prefix = Buffer.allocUnsafe(LENGTH_BYTES);
  prefix.writeUInt32BE(length);
  const fill = filler([prefix, ...parts]);
  const pieces = Math.ceil((LENGTH_BYTES + length) / PIECE_BYTES);
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + length + pieces * (2 + TAG_BYTES));
  let end = 0;
  for (let left = LENGTH_BYTES + length; left > 0; left -= PIECE_BYTES) {
    const count = Math.min(left, PIECE_BYTES);
    const place = frame.subarray(end + 2, end + 2 + count + TAG_BYTES);
    const plaintext = place.subarray(0, count);
    fill(plaintext);
    frame.writeUInt16BE(place.length, end);
    transport.seal(plaintext, place);
    end += 2 + place.length;
  }
  return frame;
}

/** Fills places with what parts hold, each place from where the one before ended. */
function filler(parts: readonly Uint8Array[]): (place: Uint8Array) => void {
  let part = 0;
  let from = 0;
  return (place) => {
    for (let at = 0; at < place.length;) {
      const taken = parts[part].subarray(from, from + place.length - at);
      place.set(taken, at);
      at += taken.length;
      from += taken.length;
      if (from < parts[part].length) continue;
      part += 1;
      from = 0;
    }
  };
}

/**
 * Opens a WebSocket message, a long one in its own place: what is returned is a view of it. Throws `noise.failed` for
 * altered pieces and `wire.bad-message` for missing ones.
 */
export function openFrame(transport: Transport, message: Uint8Array): Uint8Array {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  let end = 0;
  for (let at = 0; at < bytes.length;) {
    const length = at + 2 <= bytes.length ? bytes.readUInt16BE(at) : Infinity;
    if (at + 2 + length > bytes.length) throw cut();
    const piece = transport.open(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
    if (end === 0 && at === bytes.length) return bodyOf(piece); // a short message would keep all that was read with it
    bytes.set(piece, end);
    end += piece.length;
  }
  return bodyOf(bytes.subarray(0, end));
}

function bodyOf(frame: Uint8Array): Uint8Array {
  const whole = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  if (whole.length < LENGTH_BYTES || whole.readUInt32BE() !== whole.length - LENGTH_BYTES) throw cut();
  return whole.subarray(LENGTH_BYTES);
}

function cut(): TributaryError {
  return new TributaryError('wire.bad-message', 'A frame arrived incomplete or with something added.');
}
