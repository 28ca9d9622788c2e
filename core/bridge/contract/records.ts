/** @file What a security officer looks at: the policy, the ledger, diagnostics without anything private. */

import { z } from 'zod';
import { count, name, nothing, path, problem, request, time } from './request.ts';

const ledgerEntry = z.object({
  index: count,
  time,
  kind: z.string(),
  body: z.record(z.string(), z.json()),
  hash: z.string(),
});
export type LedgerLine = z.infer<typeof ledgerEntry>;

/** A policy: `core/site/policy.ts` has the fields and their meanings. */
const policyValue = z.record(z.string(), z.json());

export const recordRequests = {
  /** The site's policy, the machine's that it cannot widen, and the budget that was spent. */
  'privacy.policy': request(
    nothing,
    z.object({
      policy: policyValue,
      path: z.string(),
      /** Null where the owner of the machine has set none. */
      machine: policyValue.nullable(),
      machinePath: z.string().nullable(),
      /** Each field: what it means, what it is where nothing is said. */
      fields: z.array(
        z.object({ name: z.string(), meaning: z.string(), fallback: z.json(), schema: z.json() }),
      ),
      /** Budget of differential privacy, once a run spends any; null: no run does in this version. */
      budget: z.null(),
      problems: z.array(problem),
    }),
  ),
  /** Replaces the site's policy; counts from the next request on. Fails with `policy.invalid`. */
  'privacy.setPolicy': request(z.strictObject({ policy: policyValue }), z.object({ policy: policyValue })),

  /** Newest first. */
  'ledger.page': request(
    z.strictObject({
      /** Entries older than this index; null begins at the newest. */
      before: z.int().min(0).nullable().default(null),
      limit: z.int().min(1).max(200).default(50),
    }),
    z.object({ total: count, entries: z.array(ledgerEntry) }),
  ),
  /** Checks every hash and signature of this folder's ledger. */
  'ledger.verify': request(
    nothing,
    z.object({
      entries: count,
      verified: z.boolean(),
      /** Index of the first broken entry. */
      firstBroken: count.nullable(),
      reason: z.string().nullable(),
    }),
  ),
  /** Writes it as a file that `tributary audit verify` checks offline. */
  'ledger.export': request(z.strictObject({ path }), z.object({ path: z.string(), entries: count })),

  /** Text to hand to somebody who helps. Names of runs, codes and numbers; no row, no prompt, no key, no path of a person. */
  'diagnostics.read': request(
    nothing,
    z.object({ text: z.string(), checks: z.array(z.object({ name, ok: z.boolean(), says: z.string() })) }),
  ),
};
