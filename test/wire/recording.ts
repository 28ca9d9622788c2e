/** @file A recorded run of a version of the wire: every frame between a hub and its sites, before it was sealed. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { importPrivateKey } from '../../core/federation/keys.ts';
import type { Identity } from '../../core/federation/identity.ts';
import { decodeMessage } from '../../core/federation/messages.ts';
import type { Message } from '../../core/federation/messages.ts';
import { pairOf } from '../helpers/keys.ts';

const keysShape = z.object({ ed25519: z.string(), x25519: z.string() });
const recordingShape = z.object({
  version: z.int(),
  run: z.string(),
  /** As it was proposed then, to the byte: a later program may know more fields, and has to leave it as it is. */
  plan: z.string(),
  planHash: z.string(),
  /** Private keys made for this recording alone, hexadecimal. */
  hub: keysShape,
  sites: z.record(z.string(), keysShape),
  /** In the order in which the hub's process met them. */
  connections: z.array(
    z.object({ site: z.string(), role: z.enum(['control', 'bulk']), kind: z.enum(['join', 'member']) }),
  ),
  frames: z.array(
    z.object({ connection: z.int(), from: z.enum(['site', 'hub']), type: z.string(), hex: z.string() }),
  ),
});
export type Recording = z.infer<typeof recordingShape>;
export type RecordedFrame = Recording['frames'][number];

const pathOf = (version: number): string => join(import.meta.dirname, `version-${version}.json`);

export function readRecording(version: number): Recording {
  return recordingShape.parse(JSON.parse(readFileSync(pathOf(version), 'utf8')));
}

export function writeRecording({ frames, ...rest }: Recording): void {
  const lines = frames.map((frame) => `  ${JSON.stringify(frame)}`).join(',\n');
  const head = JSON.stringify(rest, null, 1).replace(/\n\}$/, '');
  writeFileSync(pathOf(rest.version), `${head},\n "frames": [\n${lines}\n ]\n}\n`);
}

export function identityOf(keys: z.infer<typeof keysShape>): Identity {
  const pair = (curve: 'ed25519' | 'x25519') => pairOf(curve, Buffer.from(keys[curve], 'hex'));
  return { ed25519: pair('ed25519'), x25519: pair('x25519') };
}

export function keysOf({ ed25519, x25519 }: Identity): z.infer<typeof keysShape> {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return { ed25519: hex(ed25519.privateKey), x25519: hex(x25519.privateKey) };
}

/** Puts keys where a hub or a site looks for its own. */
export function plantKeys(folder: string, identity: Identity): void {
  mkdirSync(folder, { recursive: true });
  for (const curve of ['ed25519', 'x25519'] as const) {
    const key = importPrivateKey(curve, identity[curve]);
    writeFileSync(join(folder, `${curve}.pem`), key.export({ format: 'pem', type: 'pkcs8' }), {
      mode: 0o600,
    });
  }
}

/** What a recorded frame says, and the bytes that said it. */
export function open(frame: RecordedFrame, role: 'control' | 'bulk'): { bytes: Buffer; message: Message } {
  const bytes = Buffer.from(frame.hex, 'hex');
  const decoded = decodeMessage(bytes, frame.from, role);
  if ('unknown' in decoded) throw new Error(`The recorded ${frame.type} is unknown now.`);
  return { bytes, message: decoded.message };
}

/** What may differ: time, the ledger's hashes (they hold times), the program's name, how a sender cuts a blob. */
export function comparable(message: Message): Record<string, unknown> {
  const body: Record<string, unknown> = { ...message };
  for (const name of [
    'roster',
    'secondsLeft',
    'ledgerEntry',
    'software',
    'versions',
    'chunkSize',
    'chunkHashes',
  ]) {
    if (name in body) body[name] = 'varies';
  }
  return body;
}

/** Progress comes as often as a machine is fast; heartbeats come by the clock. */
export const isIncidental = (type: string): boolean => type === 'progress' || type === 'heartbeat';
