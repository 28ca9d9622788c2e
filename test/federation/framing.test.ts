/** @file Frames of several pieces, and where what they held is found. */

import { expect, it } from 'vitest';
import { openFrame, sealFrame } from '../../core/federation/framing.ts';
import { TAG_BYTES } from '../../core/federation/noise.ts';
import type { Transport } from '../../core/federation/noise.ts';

/** Seals nothing: it adds an empty tag. */
const transport: Transport = {
  seal: (plaintext, place = new Uint8Array(plaintext.length + TAG_BYTES)) => {
    place.set(plaintext);
    return place.fill(0, plaintext.length);
  },
  open: (sealed) => Uint8Array.from(sealed.subarray(0, -TAG_BYTES)),
  handshakeHash: new Uint8Array(32),
  remoteStatic: new Uint8Array(32),
};

it('is opened in its own place where it is long, and by itself where it is short', () => {
  const long = Uint8Array.from({ length: 200_000 }, (_, index) => index % 251);
  const sealed = sealFrame(transport, long);
  const opened = openFrame(transport, sealed);
  expect(Buffer.compare(opened, long)).toBe(0);
  expect(opened.buffer).toBe(sealed.buffer);
  const short = sealFrame(transport, long.subarray(0, 100));
  const alone = openFrame(transport, short);
  expect(Buffer.compare(alone, long.subarray(0, 100))).toBe(0);
  expect(alone.buffer).not.toBe(short.buffer);
});
