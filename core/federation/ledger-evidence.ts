/** @file The signatures of sites that a hub's ledger holds: joins, approvals, updates, countersignatures. */

import { z } from 'zod';
import { verify } from './identity.ts';
import type { Statement } from './identity.ts';
import type { LedgerEntry } from './ledger.ts';
import { rotationStatement } from './rotation.ts';
import type { KeyChange } from './rotation.ts';
import { hashShape, keyTextShape, signatureTextShape, siteNameShape } from './shapes.ts';
import { approvalStatement, countersignStatement, updateStatement } from './statements.ts';

const joinBody = z.looseObject({ site: siteNameShape, ed25519: keyTextShape });
const approvalBody = z.looseObject({
  site: siteNameShape,
  run: z.string(),
  planHash: hashShape,
  signature: signatureTextShape,
});
const updateBody = z.looseObject({
  site: siteNameShape,
  run: z.string(),
  round: z.int(),
  hash: hashShape,
  examples: z.int(),
  signature: signatureTextShape,
});
const countersignBody = z.looseObject({
  site: siteNameShape,
  index: z.int(),
  hash: hashShape,
  signature: signatureTextShape,
});

const rotationBody = z.looseObject({
  site: siteNameShape,
  federation: z.string(),
  from: keyTextShape,
  ed25519: keyTextShape,
  x25519: keyTextShape,
  signature: signatureTextShape,
});
const changeOf = ({ federation, site, ...keys }: z.infer<typeof rotationBody>): KeyChange => {
  const bytes = (text: string): Uint8Array => Buffer.from(text, 'base64url');
  const { from, ed25519, x25519 } = keys;
  return { federation, site, from: bytes(from), ed25519: bytes(ed25519), x25519: bytes(x25519) };
};

/** What the hub's ledger must hold for the entries that rest on a site's word. */
export interface Evidence {
  /** What is wrong with an entry of a hub's ledger, or null. Call it in the order of the entries. */
  check(entry: LedgerEntry): string | null;
}

/** `hashes` are those of the entries so far; the caller goes on filling it. */
export function createEvidence(hashes: readonly string[]): Evidence {
  const members = new Map<string, Uint8Array>();
  const check = <B extends { site: string; signature: string }>(
    shape: z.ZodType<B>,
    body: unknown,
    statement: (body: B) => Statement,
  ): string | null => {
    const parsed = shape.safeParse(body);
    if (!parsed.success) return 'it lacks what makes it evidence';
    const { site, signature } = parsed.data;
    const key = members.get(site);
    if (key === undefined) return `${site} was never entered as a member`;
    const holds = verify(key, statement(parsed.data), Buffer.from(signature, 'base64url'));
    return holds ? null : `${site} did not sign what it is said to have signed`;
  };
  return {
    check({ kind, body }) {
      switch (kind) {
        case 'join': {
          const join = joinBody.safeParse(body);
          if (!join.success) return 'it lacks the name or the key of the new member';
          members.set(join.data.site, Buffer.from(join.data.ed25519, 'base64url'));
          return null;
        }
        case 'member-rotation': {
          const wrong = check(rotationBody, body, (change) => rotationStatement(changeOf(change)));
          const rotation = rotationBody.safeParse(body);
          if (wrong === null && rotation.success) {
            members.set(rotation.data.site, Buffer.from(rotation.data.ed25519, 'base64url'));
          }
          return wrong;
        }
        case 'approval':
          return check(approvalBody, body, approvalStatement);
        case 'update':
          return check(updateBody, body, updateStatement);
        case 'countersign': {
          const seen = countersignBody.safeParse(body);
          if (seen.success && hashes[seen.data.index] !== seen.data.hash) {
            return `${seen.data.site} has seen another entry ${seen.data.index} than this ledger holds`;
          }
          return check(countersignBody, body, countersignStatement);
        }
        default:
          return null;
      }
    },
  };
}
