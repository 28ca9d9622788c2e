/**
 * @file Every message of the wire: its number, who may send it, on which socket, and the shape of its body.
 * A frame's plaintext is the number (u16, big endian) and the body in CBOR.
 */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { publishedShape } from './broadcast.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { decodeChunk, encodeAround } from './chunk-message.ts';
import { signedRosterShape } from './roster.ts';
import {
  anyBytesShape,
  blobReferenceShape,
  bytesShape,
  codeShape,
  hashShape,
  MAX_CHUNK_BYTES,
  publicKeyShape,
  runShape,
  sentenceShape,
  signatureShape,
  siteNameShape,
} from './shapes.ts';

/** Versions of the protocol this program speaks, best first. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];

/** Who is at the other end. */
export type Party = 'site' | 'hub';

/** The two sockets between a site and its hub; a heartbeat never waits behind a tensor. */
export type SocketRole = 'control' | 'bulk';

const roleShape = z.enum(['control', 'bulk']);
const countShape = z.int().min(0);
const roundShape = z.int().min(0).max(1_000_000);
const indexShape = z.int().min(0).max(0xffff_ffff);
const planTextShape = z.string().min(2).max(262_144);

/** Inclusive ranges [first, last] of chunk indexes, ascending and apart. */
export const rangesShape = z
  .array(z.tuple([indexShape, indexShape]))
  .max(65_536)
  .refine(
    (ranges) =>
      ranges.every(([first, last], at) => first <= last && (at === 0 || first > ranges[at - 1][1] + 1)),
    'not ascending ranges',
  );

const metricsShape = z
  .record(z.string().regex(/^[A-Za-z][A-Za-z0-9._-]{0,63}$/), z.number())
  .refine((metrics) => Object.keys(metrics).length <= 64, 'more than 64 metrics');

/** What a site has measured of a plan's steps. */
const rehearsalFiguresShape = z.strictObject({
  /** Rows it would train on, and optimiser steps of a round. */
  examples: z.int().min(1),
  steps: z.int().min(1).max(1_000_000),
  secondsPerStep: z.number().positive(),
  tokensPerSecond: z.number().min(0),
  /** Peak of the training process, and what it may take there, in bytes. */
  memory: countShape,
  memoryLimit: countShape,
  precision: z.string().max(20),
  device: z.string().max(20),
});
export type RehearsalFigures = z.infer<typeof rehearsalFiguresShape>;

interface MessageRow {
  /** Number on the wire; never reused. */
  readonly code: number;
  readonly from: Party | 'both';
  readonly on: SocketRole | 'both';
  readonly body: z.ZodObject;
}

/** Rows by who sends them: on the control socket, of blobs on the bulk socket, or on either. */
const row =
  <From extends MessageRow['from'], On extends MessageRow['on']>(from: From, on: On) =>
  <Shape extends z.ZodRawShape>(code: number, shape: Shape) => ({
    ...{ code, from, on },
    body: z.strictObject(shape),
  });
const fromHub = row('hub', 'control');
const fromSite = row('site', 'control');
const ofBlobs = row('both', 'bulk');
const ofBoth = row('both', 'both');

const table = {
  // First on each socket; the hub answers with welcome or refuse.
  hello: row('site', 'both')(1, {
    versions: z.array(z.int().min(1).max(65_535)).min(1).max(16),
    software: z.string().max(100),
    role: roleShape,
  }),
  welcome: row('hub', 'both')(2, {
    version: z.int().min(1).max(65_535),
    federation: z.string().min(1).max(100),
    site: siteNameShape,
    roster: signedRosterShape,
    heartbeatSeconds: z.number().min(0.01).max(3600),
  }),
  // The sender closes the socket after it.
  refuse: ofBoth(3, { code: codeShape, message: sentenceShape, hint: sentenceShape }),
  heartbeat: ofBoth(4, { count: countShape }),

  // The plan travels as its canonical JSON text, so that both sides hash the very same bytes.
  proposal: fromHub(10, { run: runShape, plan: planTextShape, planHash: hashShape }),
  approval: fromSite(11, {
    run: runShape,
    planHash: hashShape,
    examples: z.int().min(1),
    signature: signatureShape,
  }),
  decline: fromSite(12, { run: runShape, planHash: hashShape, code: codeShape, reason: sentenceShape }),

  'round-start': fromHub(20, {
    run: runShape,
    round: roundShape,
    rounds: z.int().min(1).max(1_000_000),
    learningRate: z.number().positive(),
    base: publishedShape,
    // SCAFFOLD's control variate of the hub; absent while it is all zeros, as before the first round.
    control: publishedShape.optional(),
    secondsLeft: z.number().min(0),
  }),
  progress: fromSite(21, {
    run: runShape,
    round: roundShape,
    phase: z.enum(['fetching', 'training', 'sending']),
    step: countShape,
    steps: countShape,
    loss: z.number().nullable(),
  }),
  update: fromSite(22, {
    run: runShape,
    round: roundShape,
    blob: blobReferenceShape,
    examples: z.int().min(1),
    loss: z.number(),
    metrics: metricsShape,
    signature: signatureShape,
  }),
  // Sent only after the hub's transaction and the blob's fsync.
  'update-accepted': fromHub(23, {
    run: runShape,
    round: roundShape,
    hash: hashShape,
    state: z.enum(['committed', 'duplicate', 'late']),
  }),
  'update-refused': fromHub(24, {
    run: runShape,
    round: roundShape,
    hash: hashShape,
    code: codeShape,
    reason: sentenceShape,
  }),
  'round-closed': fromHub(25, {
    run: runShape,
    round: roundShape,
    aggregate: blobReferenceShape,
    cohort: z.array(siteNameShape).min(1).max(10_000),
    loss: z.number(),
    ledgerEntry: z.strictObject({ index: countShape, hash: hashShape }),
  }),
  countersign: fromSite(26, { index: countShape, hash: hashShape, signature: signatureShape }),
  'run-ended': fromHub(27, {
    run: runShape,
    state: z.enum(['completed', 'failed', 'cancelled']),
    reason: sentenceShape,
    adapter: publishedShape.nullable(),
  }),
  // Why a site has nothing to do although the run goes on; resumed takes the others back.
  'run-notice': fromHub(30, {
    run: runShape,
    round: roundShape,
    kind: z.enum(['not-drawn', 'paused', 'resumed', 'excluded']),
    reason: sentenceShape,
  }),
  // The plan of a run under way with more rounds; approved or declined by its own hash.
  amendment: fromHub(31, { run: runShape, plan: planTextShape, planHash: hashShape, amends: hashShape }),
  // Asks for the numbers of a round's aggregate on the rows that the site holds out.
  evaluate: fromHub(32, { run: runShape, round: roundShape, adapter: publishedShape }),
  score: fromSite(33, {
    run: runShape,
    round: roundShape,
    examples: countShape,
    metrics: metricsShape,
    reason: sentenceShape,
  }),
  // What keeps a site from going on with a round; it tries again by itself.
  trouble: fromSite(36, { run: runShape, round: roundShape, code: codeShape, reason: sentenceShape }),

  // A plan that is no run yet: whether it would go well here. A site that does not know the message leaves it be.
  rehearse: fromHub(37, { rehearsal: runShape, plan: planTextShape, planHash: hashShape }),
  // waiting: a person at the site has to approve it first. measuring: heard, and under way.
  rehearsed: fromSite(38, {
    rehearsal: runShape,
    planHash: hashShape,
    state: z.enum(['waiting', 'measuring', 'measured', 'refused']),
    reason: sentenceShape,
    // Parts of the data contract that the rows do not fit.
    parts: z.array(z.string().max(200)).max(64),
    measured: rehearsalFiguresShape.optional(),
  }),

  // First on a control socket of a site whose keys are to change, under those before; each pair signs the change.
  'rotate-keys': fromSite(50, {
    ed25519: publicKeyShape,
    x25519: publicKeyShape,
    signature: signatureShape,
    proof: signatureShape,
  }),
  // To a site that knows the hub by its former keys; each pair signs the change.
  'hub-keys': fromHub(52, {
    ed25519: publicKeyShape,
    x25519: publicKeyShape,
    signature: signatureShape,
    proof: signatureShape,
  }),
  'keys-rotated': fromHub(51, { roster: signedRosterShape }),

  // Blobs: the receiver asks, says what it already holds, and acknowledges chunk by chunk.
  'blob-want': ofBlobs(40, { hash: hashShape, have: rangesShape }),
  'blob-info': ofBlobs(41, {
    hash: hashShape,
    size: countShape,
    chunkSize: z.int().min(1).max(MAX_CHUNK_BYTES),
    chunkHashes: z.array(bytesShape(32)).max(16_384),
  }),
  'blob-chunk': ofBlobs(42, {
    hash: hashShape,
    index: indexShape,
    bytes: anyBytesShape.refine((bytes) => bytes.length > 0 && bytes.length <= MAX_CHUNK_BYTES),
  }),
  'blob-ack': ofBlobs(43, { hash: hashShape, index: indexShape }),
  // The hub answers blob-want, or blob-done when it already has the blob.
  'blob-offer': { code: 44, from: 'site', on: 'bulk', body: blobReferenceShape },
  'blob-done': ofBlobs(46, { hash: hashShape }),
  'blob-fail': ofBlobs(47, { hash: hashShape, code: codeShape, message: sentenceShape }),
} satisfies Record<string, MessageRow>;

export type MessageType = keyof typeof table;
type BodyOf<T extends MessageType> = z.infer<(typeof table)[T]['body']>;

/** A message by its type, e.g. `MessageOf<'update'>`. */
export type MessageOf<T extends MessageType> = { readonly type: T } & BodyOf<T>;

/** Any message. */
export type Message = { [T in MessageType]: MessageOf<T> }[MessageType];

/** The table, typed so that every message has the same columns. */
export const MESSAGES: Readonly<Record<MessageType, MessageRow>> = table;

const typeByCode = new Map<number, MessageType>(
  Object.entries(MESSAGES).map(([type, row]) => [row.code, type as MessageType]),
);

/** What travels encrypted inside the first handshake message of a join (it is no frame and has no number). */
export const joinShape = z.strictObject({
  invitation: bytesShape(16),
  site: siteNameShape,
  ed25519: publicKeyShape,
  // Ed25519 over 'tributary join' ‖ invitation ‖ site ‖ the Noise static key: the two keys have one owner.
  signature: signatureShape,
});
export type Join = z.infer<typeof joinShape>;

/** A decoded frame: a message, or the number of one this program does not know (log it and go on). */
export type Decoded = { readonly message: Message } | { readonly unknown: number };

/** Plaintext of a frame. Validates, so that a mistake is found at the sender. Throws `wire.bad-message`. */
export function encodeMessage(message: Message): Uint8Array {
  const { type, ...body } = message;
  const checked = MESSAGES[type].body.safeParse(body);
  if (!checked.success) throw badBody(type, checked.error);
  const encoded = encodeCbor(body);
  const plaintext = Buffer.allocUnsafe(2 + encoded.length);
  plaintext.writeUInt16BE(MESSAGES[type].code);
  plaintext.set(encoded, 2);
  return plaintext;
}

/** The same in parts that lie one after the other, so that the bytes of a chunk need not be copied. */
export function encodeInParts(message: Message): readonly Uint8Array[] {
  const around = message.type === 'blob-chunk' ? encodeAround(message) : null;
  if (around === null || message.type !== 'blob-chunk') return [encodeMessage(message)];
  const code = Buffer.allocUnsafe(2);
  code.writeUInt16BE(MESSAGES[message.type].code);
  return [code, around[0], message.bytes, around[1]];
}

/**
 * Reads a frame's plaintext that came from `from` over the socket `on`. Throws `wire.bad-message` for a body
 * that does not fit its message and `wire.not-allowed` for a message this peer may not send there.
 */
export function decodeMessage(plaintext: Uint8Array, from: Party, on: SocketRole): Decoded {
  if (plaintext.length < 3) {
    throw new TributaryError('wire.bad-message', `The ${from} sent a frame of ${plaintext.length} bytes.`);
  }
  const code = new DataView(plaintext.buffer, plaintext.byteOffset).getUint16(0);
  const type = typeByCode.get(code);
  if (type === undefined) return { unknown: code };
  const row = MESSAGES[type];
  if ((row.from !== 'both' && row.from !== from) || (row.on !== 'both' && row.on !== on)) {
    throw new TributaryError('wire.not-allowed', `A ${from} may not send ${type} on the ${on} socket.`);
  }
  const chunk = type === 'blob-chunk' ? decodeChunk(plaintext.subarray(2)) : null;
  if (chunk !== null) return { message: { type: 'blob-chunk', ...chunk } };
  let body: unknown;
  try {
    body = decodeCbor(plaintext.subarray(2));
  } catch (cause) {
    throw new TributaryError('wire.bad-message', `The ${from} sent ${type} with a body that is not CBOR.`, {
      cause,
    });
  }
  const checked = row.body.safeParse(body);
  if (!checked.success) throw badBody(type, checked.error);
  return { message: { type, ...checked.data } as unknown as Message };
}

function badBody(type: MessageType, error: z.ZodError): TributaryError {
  const [issue] = error.issues;
  const where = issue.path.length > 0 ? ` at ${issue.path.join('.')}` : '';
  return new TributaryError(
    'wire.bad-message',
    `The message ${type} is malformed${where}: ${issue.message}.`,
  );
}
