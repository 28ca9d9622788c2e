/** @file Key pairs of vectors and recordings, which give the private half alone. */

import { createPrivateKey } from 'node:crypto';
import { keyPairOf } from '../../core/federation/keys.ts';
import type { Curve, KeyPair } from '../../core/federation/keys.ts';

/** The last byte of a curve's object identifier, 1.3.101.110 or 1.3.101.112 (RFC 8410, section 3). */
const identifiers = { x25519: 0x6e, ed25519: 0x70 };

/** The pair of a raw private key of 32 bytes (PKCS #8 wrapping, RFC 8410, section 7). */
export function pairOf(curve: Curve, raw: Uint8Array): KeyPair {
  const head = Buffer.from('302e020100300506032b650004220420', 'hex');
  head[11] = identifiers[curve];
  return keyPairOf(createPrivateKey({ key: Buffer.concat([head, raw]), format: 'der', type: 'pkcs8' }));
}
