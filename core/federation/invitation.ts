/** @file Invitations: one line that makes an installation a site of a federation, once. */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { bytesShape, publicKeyShape, siteNameShape } from './shapes.ts';

const PREFIX = 'tributary1.';
const CHECK_BYTES = 4;

/** Where a hub listens: ws or wss, no credentials, no query. */
export const hubUrlShape = z
  .string()
  .max(500)
  .refine((text) => {
    if (!URL.canParse(text)) return false;
    const url = new URL(text);
    return (
      ['ws:', 'wss:'].includes(url.protocol) && url.username === '' && url.search === '' && url.hash === ''
    );
  }, 'not a ws:// or wss:// address');

const invitationShape = z.strictObject({
  urls: z.array(hubUrlShape).min(1).max(8),
  hubX25519: publicKeyShape,
  hubEd25519: publicKeyShape,
  federation: z.string().min(1).max(100),
  id: bytesShape(16),
  /** The pre-shared key of the join's handshake. */
  secret: bytesShape(32),
  /** Unix seconds. */
  expires: z.int().min(0),
  /** The name the coordinator has given the site already, if any. */
  site: siteNameShape.optional(),
});
export type Invitation = z.infer<typeof invitationShape>;

/**
 * The line to hand over. Four bytes of SHA-256 follow the content, so that a mistyped letter is noticed here
 * and not as a failed handshake.
 */
export function encodeInvitation(invitation: Invitation): string {
  const { site, ...rest } = invitationShape.parse(invitation);
  const content = encodeCbor(site === undefined ? rest : { ...rest, site });
  return PREFIX + Buffer.concat([content, checkOf(content)]).toString('base64url');
}

/** Reads a pasted line; blanks and line breaks that mail programs add do no harm. Throws `invitation.garbled`. */
export function parseInvitation(text: string): Invitation {
  const compact = text.replace(/\s+/g, '');
  if (!compact.startsWith(PREFIX)) {
    throw garbled(`An invitation begins with ${PREFIX}, this text does not.`);
  }
  const encoded = compact.slice(PREFIX.length);
  if (!/^[A-Za-z0-9_-]+$/.test(encoded))
    throw garbled('The invitation holds signs that do not belong in it.');
  const bytes = Buffer.from(encoded, 'base64url');
  const content = bytes.subarray(0, -CHECK_BYTES);
  if (bytes.length <= CHECK_BYTES || !checkOf(content).equals(bytes.subarray(-CHECK_BYTES))) {
    throw garbled(`The invitation is incomplete or altered (${compact.length} letters arrived).`);
  }
  try {
    return invitationShape.parse(decodeCbor(content));
  } catch (cause) {
    throw garbled('The invitation was made by another version of Tributary.', cause);
  }
}

/** Throws `invitation.expired`. `now` in Unix seconds. */
export function requireUnexpired(invitation: Invitation, now: number): void {
  if (now < invitation.expires) return;
  const when = new Date(invitation.expires * 1000).toISOString().slice(0, 16).replace('T', ' ');
  throw new TributaryError(
    'invitation.expired',
    `This invitation to ${invitation.federation} expired on ${when} UTC.`,
  );
}

function checkOf(content: Uint8Array): Buffer {
  return createHash('sha256').update(content).digest().subarray(0, CHECK_BYTES);
}

function garbled(message: string, cause?: unknown): TributaryError {
  return new TributaryError('invitation.garbled', message, { cause });
}
