/** @file A run's plan with more rounds: a site may approve it while the run goes on under the plan it knows. */

import { TributaryError } from '../errors.ts';
import { sign } from '../federation/identity.ts';
import type { Message, MessageOf } from '../federation/messages.ts';
import { encodePlan, extendPlan, openPlan } from '../federation/plan.ts';
import { approvalStatement } from '../federation/statements.ts';
import type { FederationContext } from './context.ts';
import { passGate } from './policy.ts';
import { declineRun, planOf } from './proposals.ts';
import type { SiteRun } from './tables.ts';

/** What to tell the hub about an amended plan, or null while a person has yet to approve it. */
export function answerAmendment(context: FederationContext, message: MessageOf<'amendment'>): Message | null {
  const { store } = context;
  const { run: id, plan, planHash, amends } = message;
  const run = store.run(id);
  if (run?.state !== 'approved') return null;
  try {
    if (run.amendment_hash !== planHash) {
      requireExtension(run, message);
      store.transaction('take-amendment', () => {
        store.setAmendment(id, { plan, planHash });
        store.ledger.append('amendment', { run: id, amends, planHash, plan });
      });
    }
    return answerKnownAmendment(context, id);
  } catch (thrown) {
    return declineRun(context, { run: id, planHash }, thrown);
  }
}

/** The answer to an amended plan that is known already. */
export function answerKnownAmendment(context: FederationContext, id: string): Message | null {
  const run = context.store.run(id);
  if (run?.state !== 'approved' || run.amendment === null) return null;
  if (run.amendment_approved === 1) return approvalOf(context, run);
  passGate(context.policies(), { kind: 'plan', plan: openPlan(run.amendment, run.amendment_hash ?? '') });
  return context.store.approvedDataset('*') === null ? null : approveAmendment(context, run);
}

/** Whether a person has an amended plan of this run to decide on. */
export function awaitsAmendment({ state, amendment, amendment_approved }: SiteRun): boolean {
  return state === 'approved' && amendment !== null && amendment_approved === 0;
}

/** Approves the amended plan of a run. Throws `policy.*` where the policy does not allow it. */
export function approveAmendment(context: FederationContext, run: SiteRun): Message {
  const { store } = context;
  const { amendment, amendment_hash: planHash, dataset, examples } = run;
  if (amendment === null || planHash === null) throw new TypeError(`${run.run} was not amended.`);
  passGate(context.policies(), { kind: 'plan', plan: openPlan(amendment, planHash) });
  store.transaction('approve-amendment', () => {
    store.setAmendmentApproved(run.run);
    store.ledger.append('approval', { run: run.run, planHash, dataset, examples });
  });
  return approvalOf(context, run);
}

/** From the first added round on, an approved amendment is the plan. */
export function adoptAmendment(
  { store }: FederationContext,
  { run: id, round }: MessageOf<'round-start'>,
): void {
  const run = store.run(id);
  if (run?.amendment_approved !== 1 || round < planOf(run).federation.rounds) return;
  store.transaction('adopt-amendment', () => store.adoptAmendment(id));
}

function approvalOf({ identity }: FederationContext, { run, amendment_hash, examples }: SiteRun): Message {
  const planHash = amendment_hash ?? '';
  const signature = sign(identity.ed25519, approvalStatement({ run, planHash }));
  return { type: 'approval', run, planHash, examples: examples ?? 1, signature };
}

/** An amended plan may say nothing else than more rounds. Throws `policy.deviation`, and as `openPlan` does. */
function requireExtension(run: SiteRun, { plan, planHash, amends }: MessageOf<'amendment'>): void {
  const known = planOf(run);
  const { rounds } = openPlan(plan, planHash).federation;
  const isExtension = rounds > known.federation.rounds && encodePlan(extendPlan(known, rounds)) === plan;
  if (amends === run.plan_hash && isExtension) return;
  throw new TributaryError(
    'policy.deviation',
    `The hub amends ${run.run} with another plan than the approved one with more rounds.`,
  );
}
