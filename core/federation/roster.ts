/** @file The roster: which sites belong to a federation, signed by its hub. */

import { z } from 'zod';
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
