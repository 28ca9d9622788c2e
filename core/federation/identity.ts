/** @file Who a hub or a site is: its two static key pairs on disk, its signatures, its fingerprint. */

import { createHash, createPrivateKey, sign as signBytes, verify as verifyBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { TributaryError } from '../errors.ts';
import type { SecretStore } from '../secrets.ts';
import { encodeCbor } from './cbor.ts';
import { generateKeys, importPrivateKey, importPublicKey, keyPairOf } from './keys.ts';
import type { Curve, KeyPair } from './keys.ts';

/** Ed25519 signs statements; X25519 is the static key of the sealed connection. */
export interface Identity {
  readonly ed25519: KeyPair;
  readonly x25519: KeyPair;
}

/** The public half of an identity. */
export interface PublicIdentity {
  readonly ed25519: Uint8Array;
  readonly x25519: Uint8Array;
}

/** Two fresh pairs that exist nowhere but in memory. */
export function generateIdentity(): Identity {
  return { ed25519: generateKeys('ed25519'), x25519: generateKeys('x25519') };
}

/**
 * Reads the keys `ed25519.pem` and `x25519.pem` (PKCS #8) and makes those that are missing, so that a crash between
 * the two does no harm. Throws `identity.damaged`, `secrets.*`.
 */
export async function openIdentity(secrets: SecretStore): Promise<Identity> {
  return { ed25519: await openKeys(secrets, 'ed25519'), x25519: await openKeys(secrets, 'x25519') };
}

/** Keys that are there, under names with this prefix. Throws `identity.damaged`. */
export async function readIdentity(secrets: SecretStore, prefix: 'former.'): Promise<Identity> {
  const open = (curve: Curve): Promise<KeyPair> => openKeys(secrets, curve, prefix);
  return { ed25519: await open('ed25519'), x25519: await open('x25519') };
}

async function openKeys(secrets: SecretStore, curve: Curve, prefix: 'former.' | '' = ''): Promise<KeyPair> {
  const name = `${prefix}${curve}.pem` as const;
  const pem = await secrets.load(name);
  if (pem === null) {
    const keys = generateKeys(curve);
    const exported = importPrivateKey(curve, keys).export({ format: 'pem', type: 'pkcs8' });
    await secrets.save(name, exported.toString());
    return keys;
  }
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== curve)
      throw new TypeError(`It holds a key of type ${key.asymmetricKeyType}.`);
    return keyPairOf(key);
  } catch (cause) {
    throw new TributaryError('identity.damaged', `${secrets.place(name)} is not a private ${curve} key.`, {
      cause,
    });
  }
}

/** What a signature may be about; each is a domain of its own, so none can pass for another. */
export type StatementDomain =
  | 'tributary join'
  | 'tributary roster'
  | 'tributary approval'
  | 'tributary update'
  | 'tributary countersign'
  | 'tributary ledger'
  | 'tributary rotation';

/** A statement to sign: its domain and its parts, in this order. */
export type Statement = readonly [StatementDomain, ...(string | number | Uint8Array | null)[]];

/** Signs a statement (Ed25519, RFC 8032, over its deterministic CBOR, so parts can never run into each other). */
export function sign(keys: KeyPair, statement: Statement): Uint8Array {
  return signBytes(
    null,
    encodeCbor(statement),
    imported(keys.privateKey, () => importPrivateKey('ed25519', keys)),
  );
}

/** Whether the owner of the public key signed this very statement. */
export function verify(publicKey: Uint8Array, statement: Statement, signature: Uint8Array): boolean {
  try {
    return verifyBytes(
      null,
      encodeCbor(statement),
      imported(publicKey, () => importPublicKey('ed25519', publicKey)),
      signature,
    );
  } catch {
    return false; // not a point of the curve: nobody can have signed with it
  }
}

/** What two people compare aloud: SHA-256 of both public keys of a hub or a site, in groups of four digits. */
export function fingerprint({ ed25519, x25519 }: PublicIdentity): string {
  const digest = createHash('sha256').update(ed25519).update(x25519).digest('hex');
  return (digest.match(/.{4}/g) ?? []).join(' ');
}

/** The public half. */
export function publicIdentity(identity: Identity): PublicIdentity {
  return { ed25519: identity.ed25519.publicKey, x25519: identity.x25519.publicKey };
}

/** Ed25519 keys by their bytes, which nobody changes: importing one takes about as long as signing with it. */
const known = new WeakMap<Uint8Array, KeyObject>();

function imported(raw: Uint8Array, importKey: () => KeyObject): KeyObject {
  const key = known.get(raw) ?? importKey();
  known.set(raw, key);
  return key;
}
