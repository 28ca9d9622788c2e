/** @file Raw 32-byte X25519 and Ed25519 keys to and from node:crypto. */

import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** The two curves by the last byte of their object identifier, 1.3.101.110 and 1.3.101.112 (RFC 8410, section 3). */
const curves = { x25519: 0x6e, ed25519: 0x70 };
export type Curve = keyof typeof curves;

/** Raw keys, 32 bytes each. The private one never leaves the process but into its own 0600 file. */
export interface KeyPair {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** Imports a raw private key (PKCS #8 wrapping, RFC 8410, section 7). */
export function importPrivateKey(curve: Curve, raw: Uint8Array): KeyObject {
  const head = Buffer.from('302e020100300506032b650004220420', 'hex');
  head[11] = curves[curve];
  return createPrivateKey({ key: Buffer.concat([head, raw]), format: 'der', type: 'pkcs8' });
}

/** Imports a raw public key (SubjectPublicKeyInfo wrapping, RFC 8410, section 4). */
export function importPublicKey(curve: Curve, raw: Uint8Array): KeyObject {
  const head = Buffer.from('302a300506032b6500032100', 'hex');
  head[8] = curves[curve];
  return createPublicKey({ key: Buffer.concat([head, raw]), format: 'der', type: 'spki' });
}

/** The pair of a raw private key. */
export function keyPairOf(curve: Curve, privateKey: Uint8Array): KeyPair {
  const exported = createPublicKey(importPrivateKey(curve, privateKey)).export({
    format: 'der',
    type: 'spki',
  });
  return { privateKey, publicKey: new Uint8Array(exported.subarray(-32)) };
}

/** A fresh pair from the system's random source. */
export function generateKeys(curve: Curve): KeyPair {
  const { privateKey } = curve === 'x25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('ed25519');
  return keyPairOf(curve, new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)));
}
