/** @file Shapes shared by messages, invitations, rosters and databases: names, hashes, keys. */

import { z } from 'zod';

/** Size of one chunk of a blob at most, bytes. */
export const MAX_CHUNK_BYTES = 1024 * 1024;
/**
 * A chunk that this program makes: what breaks off with a link is at most this much and what lies in its queues. With
 * its envelope it just fits into two Noise messages.
 */
export const CHUNK_BYTES = 126 * 1024;

/** Lower-case hexadecimal SHA-256. */
export const hashShape = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256 in hexadecimal');

/** A content-addressed blob: SHA-256 of its bytes and their number. */
export const blobReferenceShape = z.strictObject({ hash: hashShape, size: z.int().min(0) });
export type BlobReference = z.infer<typeof blobReferenceShape>;

/** Bytes of any length; Buffers too. */
export const anyBytesShape = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'not bytes');

export const bytesShape = (length: number) =>
  anyBytesShape.refine((bytes) => bytes.length === length, `not ${length} bytes long`);

/** A raw X25519 or Ed25519 public key. */
export const publicKeyShape = bytesShape(32);
export const signatureShape = bytesShape(64);

/** The same in JSON: base64url, of which each value has exactly one spelling. */
const base64urlShape = (length: number) =>
  z.string().refine((text) => {
    const bytes = Buffer.from(text, 'base64url');
    return bytes.length === length && bytes.toString('base64url') === text;
  }, `not ${length} bytes in base64url`);
export const keyTextShape = base64urlShape(32);
export const signatureTextShape = base64urlShape(64);

/** Name of a site: what people read and what rounds are ordered by. Letters, digits, blank, `.`, `_`, `-`. */
export const siteNameShape = z
  .string()
  .regex(/^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N} ._-]{0,62}[\p{L}\p{M}\p{N}])?$/u, 'not a site name')
  .refine((name) => name === name.normalize('NFC'), 'not in Unicode normal form C');

/** Identifier of a run; safe as a file name. */
export const runShape = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/, 'not a run identifier');

/** A code such as `update.not-finite`, for people and programs. */
export const codeShape = z.string().regex(/^[a-z0-9.-]{1,64}$/, 'not a code');

/** A sentence for a person. */
export const sentenceShape = z.string().max(2000);
