/** @file A site and its federation: invitation, joining, status, what left this machine, leaving. */

import { z } from 'zod';
import { count, name, nothing, problem, request, time } from './request.ts';

/**
 * What left this machine, in bytes as the system's sockets counted them, all of them: `bytes` is the sum of `kinds`.
 * `updates`: tensors of adapters. `scores`: means over held-out rows. `answers`: approvals, refusals, signatures.
 * `progress`: phases, steps, losses, troubles. `connection`: handshakes, heartbeats, acknowledgements and the frames
 * around everything. Rows are no kind: they never leave.
 */
export const leftShape = z.object({
  bytes: count,
  kinds: z.object({
    updates: count,
    scores: count,
    answers: count,
    progress: count,
    connection: count,
  }),
});
export type Left = z.infer<typeof leftShape>;

const federationStatusShape = z.object({
  /** `stopped`: no process runs. `idle`: connected, nothing to do. `awaiting-approval`: a person has to decide. */
  state: z.enum([
    'not-joined',
    'stopped',
    'offline',
    'revoked',
    'idle',
    'awaiting-approval',
    'ready',
    'working',
    'paused',
  ]),
  /** What it is called at this site, which names it in requests. */
  federation: z.string().nullable(),
  site: z.string().nullable(),
  /** Address of the hub while connected. */
  hub: z.string().nullable(),
  /** Why the certificate of that address is not believed, where the policy does without it. */
  uncheckedCertificate: z.string().nullable(),
  /** Of the hub's keys and of this site's own, to compare with what the other side shows; null before joining. */
  hubFingerprint: z.string().nullable(),
  siteFingerprint: z.string().nullable(),
  /** Version of the signed members' list that was seen last. */
  roster: count.nullable(),
  /** The run that it works on or that waits for it. */
  run: z.string().nullable(),
  /** From 0. */
  round: count.nullable(),
  rounds: count.nullable(),
  /** `fetching`, `training`, `sending`, `waiting` (for the hub's acknowledgement), `scoring` or `rehearsing`. */
  phase: z.string().nullable(),
  step: count.nullable(),
  steps: count.nullable(),
  loss: z.number().nullable(),
  /** Why it is not further, as a sentence; empty when all is well. */
  reason: z.string(),
  leftThisMachine: leftShape,
  /** Rehearsals that wait for a person, oldest first. */
  rehearsals: z.array(z.string()),
  /** Newest first. */
  runs: z.array(
    z.object({
      id: z.string(),
      federation: z.string(),
      state: z.string(),
      planHash: z.string(),
      reason: z.string(),
    }),
  ),
});

/** As the site stands with the federation that matters most now, and with each. */
export const siteStatusShape = federationStatusShape.extend({
  federations: z.array(federationStatusShape),
});
export type SiteStatus = z.infer<typeof siteStatusShape>;

/** A federation, which has to be named where there are several. */
const named = z.strictObject({ federation: name.optional() });

export const federationRequests = {
  /** Reads a pasted line; nothing is sent. Fails with `invitation.garbled`. */
  'invitation.read': request(
    z.strictObject({ invitation: z.string().max(10_000) }),
    z.object({
      federation: z.string(),
      urls: z.array(z.string()),
      /** Of the hub, to compare with what the coordinator reads out. */
      fingerprint: z.string(),
      expires: time,
      expired: z.boolean(),
      /** Name that the coordinator has chosen for this site; null leaves it to the site. */
      site: z.string().nullable(),
      /** Why the machine's policy does not allow this hub. */
      refused: problem.nullable(),
    }),
  ),
  /** Joins, beside other federations where there are any, and starts to take part. */
  'federation.join': request(
    z.strictObject({ invitation: z.string().max(10_000), name: z.string().max(200).optional() }),
    z.object({ federation: z.string(), site: z.string(), fingerprint: z.string() }),
  ),
  /** Stops what is under way for it and leaves; datasets, results and ledger stay. */
  'federation.leave': request(named, z.object({ federation: z.string() })),
  /** Makes new keys for this site; `pending` while a hub has not entered them, which it does once it is reached. */
  'federation.rotate-keys': request(nothing, z.object({ pending: z.boolean() })),
  /** Of the federation that matters most where none is named. */
  'federation.status': request(
    named,
    siteStatusShape.extend({
      /** What stands in the signed list of members that the hub last showed. */
      members: z.array(z.object({ name, joined: time, revoked: time.nullable(), self: z.boolean() })),
      /** New keys of this site are made, and the hub has not entered them yet. */
      keysPending: z.boolean(),
      /** What a site sends, in the words of its policy. */
      metrics: z.array(z.string()),
    }),
  ),
};
