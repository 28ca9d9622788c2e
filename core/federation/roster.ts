/** @file The roster: which sites belong to a federation, signed by its hub. */

import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { encodeCbor } from './cbor.ts';
import { sign, verify } from './identity.ts';
import type { Statement } from './identity.ts';
import type { KeyPair } from './keys.ts';
import { publicKeyShape, signatureShape, siteNameShape } from './shapes.ts';

const entryShape = z.strictObject({
  site: siteNameShape,
  x25519: publicKeyShape,
  ed25519: publicKeyShape,
  /** Unix seconds. */
  joined: z.int().min(0),
  /** Unix seconds when the hub revoked the site, or null. */
  revoked: z.int().min(0).nullable(),
});

/** A member site with its two public keys. */
export type RosterEntry = z.infer<typeof entryShape>;

/** `version` counts changes, so that a site refuses an older roster than it has seen. */
export const signedRosterShape = z.strictObject({
  federation: z.string().min(1).max(100),
  version: z.int().min(0),
  entries: z.array(entryShape).max(10_000),
  signature: signatureShape,
});
export type SignedRoster = z.infer<typeof signedRosterShape>;

/** Signs the members' list. Entries are put in the order of the sites' names, so equal lists are equal bytes. */
export function signRoster(keys: KeyPair, roster: Omit<SignedRoster, 'signature'>): SignedRoster {
  const entries = [...roster.entries].sort((a, b) => (a.site < b.site ? -1 : 1));
  const ordered = { federation: roster.federation, version: roster.version, entries };
  return { ...ordered, signature: sign(keys, statementOf(ordered)) };
}

/**
 * Checks that the hub signed the roster and that it is not older than one seen before.
 * Throws `roster.bad-signature` or `roster.rolled-back`.
 */
export function verifyRoster(roster: SignedRoster, hubEd25519: Uint8Array, newestSeen = 0): void {
  if (!verify(hubEd25519, statementOf(roster), roster.signature)) {
    throw new TributaryError(
      'roster.bad-signature',
      `The members' list of ${roster.federation} does not carry the signature of its hub.`,
    );
  }
  if (roster.version < newestSeen) {
    throw new TributaryError(
      'roster.rolled-back',
      `The hub of ${roster.federation} shows version ${roster.version} of the members' list after version ${newestSeen}.`,
    );
  }
}

/** The member with this static key, revoked or not. */
export function findMember(roster: SignedRoster, x25519: Uint8Array): RosterEntry | undefined {
  return roster.entries.find((entry) => Buffer.compare(entry.x25519, x25519) === 0);
}

function statementOf(roster: Omit<SignedRoster, 'signature'>): Statement {
  return ['tributary roster', roster.federation, roster.version, encodeCbor(roster.entries)];
}
