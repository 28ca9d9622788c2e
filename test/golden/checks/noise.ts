/** @file Checks published vectors of the Noise handshakes, to the bit. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { startHandshake } from '../../../core/federation/noise.ts';
import { pairOf } from '../../helpers/keys.ts';
import type { Check } from '../check.ts';

const hex = z.string().transform((text) => new Uint8Array(Buffer.from(text, 'hex')));
const fileShape = z.object({
  vectors: z.array(
    z.object({
      protocol_name: z.string(),
      init_prologue: hex,
      init_psks: z.array(hex).optional(),
      init_static: hex,
      init_ephemeral: hex,
      init_remote_static: hex,
      resp_prologue: hex,
      resp_psks: z.array(hex).optional(),
      resp_static: hex,
      resp_ephemeral: hex,
      handshake_hash: hex,
      messages: z.array(z.object({ payload: hex, ciphertext: hex })),
    }),
  ),
});
type Vector = z.infer<typeof fileShape>['vectors'][number];

/** Runs every vector of a file in the format of the cacophony project. */
export function checkNoise(file: string): Check[] {
  const { vectors } = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  return vectors.map((vector): Check => {
    const name = vector.protocol_name;
    const pattern = /^Noise_(IK|IKpsk2)_25519_AESGCM_SHA256$/.exec(name)?.[1];
    if (pattern !== 'IK' && pattern !== 'IKpsk2') return { name, status: 'skipped', detail: 'not used here' };
    const detail = firstDifference(vector, pattern);
    return detail === undefined ? { name, status: 'passed' } : { name, status: 'failed', detail };
  });
}

function firstDifference(vector: Vector, pattern: 'IK' | 'IKpsk2'): string | undefined {
  const initiator = startHandshake({
    pattern,
    initiator: true,
    prologue: vector.init_prologue,
    keys: pairOf('x25519', vector.init_static),
    remoteStatic: vector.init_remote_static,
    psk: vector.init_psks?.[0],
    ephemeral: pairOf('x25519', vector.init_ephemeral),
  });
  const responder = startHandshake({
    pattern,
    initiator: false,
    prologue: vector.resp_prologue,
    keys: pairOf('x25519', vector.resp_static),
    psk: vector.resp_psks?.[0],
    ephemeral: pairOf('x25519', vector.resp_ephemeral),
  });
  const differs = (got: Uint8Array, wanted: Uint8Array): boolean => Buffer.compare(got, wanted) !== 0;

  const [first, second, ...transported] = vector.messages;
  const sent = initiator.write(first.payload);
  if (differs(sent, first.ciphertext)) return 'message 1 differs';
  if (differs(responder.read(first.ciphertext), first.payload)) return 'payload 1 differs';
  if (differs(responder.write(second.payload), second.ciphertext)) return 'message 2 differs';
  if (differs(initiator.read(second.ciphertext), second.payload)) return 'payload 2 differs';
  const ends = [initiator.split(), responder.split()];
  if (ends.some((end) => differs(end.handshakeHash, vector.handshake_hash))) return 'handshake hash differs';
  for (const [index, { payload, ciphertext }] of transported.entries()) {
    const [from, to] = index % 2 === 0 ? ends : [ends[1], ends[0]];
    if (differs(from.seal(payload), ciphertext)) return `message ${index + 3} differs`;
    if (differs(to.open(ciphertext), payload)) return `payload ${index + 3} differs`;
  }
  return undefined;
}
