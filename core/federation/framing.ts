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

/** Seals a frame's plaintext. */
export function sealFrame(transport: Transport, plaintext: Uint8Array): Buffer {
  if (plaintext.length > MAX_FRAME_BYTES) {
    throw new TributaryError('wire.bad-message', `A frame of ${plaintext.length} bytes is too long to send.`);
  }
  const pieces = Math.ceil((LENGTH_BYTES + plaintext.length) / PIECE_BYTES);
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + plaintext.length + pieces * (2 + TAG_BYTES));
  let end = 0;
  const seal = (piece: Uint8Array): void => {
    const length = piece.length + TAG_BYTES;
    frame.writeUInt16BE(length, end);
    transport.seal(piece, frame.subarray(end + 2, end + 2 + length));
    end += 2 + length;
  };
  // A chunk is long, so only its beginning is copied behind the length.
  const first = Buffer.allocUnsafe(Math.min(PIECE_BYTES, LENGTH_BYTES + plaintext.length));
  first.writeUInt32BE(plaintext.length);
  first.set(plaintext.subarray(0, first.length - LENGTH_BYTES), LENGTH_BYTES);
  seal(first);
  for (let at = first.length - LENGTH_BYTES; at < plaintext.length; at += PIECE_BYTES) {
    seal(plaintext.subarray(at, at + PIECE_BYTES));
  }
  return frame;
}

/** Opens a WebSocket message. Throws `noise.failed` for altered pieces and `wire.bad-message` for missing ones. */
export function openFrame(transport: Transport, message: Uint8Array): Uint8Array {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = at + 2 <= bytes.length ? bytes.readUInt16BE(at) : Infinity;
    if (at + 2 + length > bytes.length) throw cut();
    pieces.push(transport.open(bytes.subarray(at + 2, at + 2 + length)));
    at += 2 + length;
  }
  const whole = Buffer.concat(pieces);
  if (whole.length < LENGTH_BYTES || whole.readUInt32BE() !== whole.length - LENGTH_BYTES) throw cut();
  return whole.subarray(LENGTH_BYTES);
}

function cut(): TributaryError {
  return new TributaryError('wire.bad-message', 'A frame arrived incomplete or with something added.');
}
