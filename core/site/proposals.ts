/** @file A site's answer to a proposed run: its policy, its people's approval, its data. */

import { toTributaryError, TributaryError } from '../errors.ts';
import { sign } from '../federation/identity.ts';
import type { Message, MessageOf } from '../federation/messages.ts';
import { openPlan } from '../federation/plan.ts';
import type { Plan } from '../federation/plan.ts';
import { learningRateOfRound } from '../federation/schedule.ts';
import { approvalStatement } from '../federation/statements.ts';
import type { FederationContext } from './context.ts';
import { reasonForHub } from './disclosure.ts';
import { readExamples } from './examples.ts';
import { passGate } from './policy.ts';
import { declineOfStopped } from './stops.ts';
import type { SiteRun } from './tables.ts';

/** The plan of a known run; its text was checked when it came. */
export function planOf(run: SiteRun): Plan {
  return openPlan(run.plan, run.plan_hash);
}

/** What to tell the hub about a proposal, or null while a person has yet to approve it. */
export function answerProposal(context: FederationContext, proposal: MessageOf<'proposal'>): Message | null {
  const { store } = context;
  const { run, plan, planHash } = proposal;
  const known = store.run(run);
  try {
    openPlan(plan, planHash);
    if (known === null) {
      store.transaction('take-proposal', () => {
        store.putRun(run, plan, planHash);
        store.ledger.append('plan', { run, planHash, plan });
      });
    } else if (known.plan_hash !== planHash) {
      const what = `The hub shows another plan for ${run} than before.`;
      throw new TributaryError('policy.deviation', what);
    }
  } catch (thrown) {
    return declineRun(context, { run, planHash }, thrown);
  }
  return answerRun(context, run);
}

/** The answer to a run that is known already, such as after an approval or a change of the policy. */
export function answerRun(context: FederationContext, id: string): Message | null {
  const { store } = context;
  const run = store.run(id);
  if (run === null || isOver(run)) return null;
  if (run.state === 'approved') return approvalOf(context, run);
  const stopped = declineOfStopped(store, run);
  if (stopped !== null) return stopped;
  try {
    passGate(context.policies(), { kind: 'plan', plan: planOf(run) });
    const dataset = store.approvedDataset(id);
    if (dataset === null) return null;
    return approveRun(context, id, dataset);
  } catch (thrown) {
    return declineRun(context, { run: id, planHash: run.plan_hash }, thrown);
  }
}

/**
 * Approves a run with a dataset. Throws `site.unknown-run`, `vault.unknown-dataset`, and `policy.*` where the
 * policy does not allow it; then nothing has changed.
 */
export function approveRun(context: FederationContext, id: string, dataset: string): Message {
  const { store } = context;
  const run = store.run(id);
  if (run === null || isOver(run)) {
    const what = run === null ? 'is not known here' : `has ended (${run.state})`;
    throw new TributaryError('site.unknown-run', `The run ${id} ${what}.`);
  }
  const policies = context.policies();
  const plan = planOf(run);
  passGate(policies, { kind: 'plan', plan });
  const { name, reference } = context.vault.dataset(dataset);
  const { examples } = readExamples(context.vault, reference, plan);
  passGate(policies, { kind: 'dataset', dataset: name, examples: examples.length });
  store.transaction('approve', () => {
    store.approve(id, dataset);
    // The version of now: what is imported later under the name is another.
    store.setApproved(id, reference, examples.length);
    store.ledger.append('approval', {
      run: id,
      planHash: run.plan_hash,
      dataset: reference,
      examples: examples.length,
    });
  });
  return approvalOf(context, { ...run, examples: examples.length });
}

/** Approves every plan within the policy, now and later, with one dataset. Throws `vault.unknown-dataset`. */
export function approveStanding(context: FederationContext, dataset: string): void {
  context.vault.dataset(dataset);
  context.store.transaction('approve-standing', () => {
    context.store.approve('*', dataset);
    context.store.ledger.append('approval', { run: '*', dataset });
  });
}

function approvalOf({ identity }: FederationContext, { run, plan_hash, examples }: SiteRun): Message {
  const signature = sign(identity.ed25519, approvalStatement({ run, planHash: plan_hash }));
  return { type: 'approval', run, planHash: plan_hash, examples: examples ?? 1, signature };
}

/** Says no, with the reason, and remembers it. `withdraw` takes back an approval too: a person may give it again. */
export function declineRun(
  { store, log }: FederationContext,
  { run, planHash, withdraw = false }: { run: string; planHash: string; withdraw?: boolean },
  thrown: unknown,
): Message {
  const error = toTributaryError(thrown);
  const { code } = error;
  const reason = reasonForHub(error);
  log.warn({ run, code }, error.message);
  const known = store.run(run);
  store.transaction('decline', () => {
    const stands = known?.state === 'approved' && !withdraw;
    if (known !== null && !stands && !isOver(known)) store.setRun(run, 'declined', reason);
    if (known?.reason !== reason) store.ledger.append('refusal', { run, code, reason });
  });
  return { type: 'decline', run, planHash, code, reason: reason.slice(0, 2000) };
}

function isOver({ state }: SiteRun): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled';
}

/**
 * Whether a round is what the approved plan says. Throws `policy.no-approval` or `policy.deviation`: a hub cannot
 * have a site train otherwise than it agreed to.
 */
export function checkRound({ store, policies }: FederationContext, start: MessageOf<'round-start'>): void {
  const run = store.run(start.run);
  if (run?.state !== 'approved' || run.dataset === null) {
    const withdrawn = run?.state === 'declined' && run.reason;
    const reason = withdrawn || `This site has not approved the run ${start.run}.`;
    throw new TributaryError('policy.no-approval', reason);
  }
  const plan = planOf(run);
  passGate(policies(), { kind: 'plan', plan });
  const { rounds } = plan.federation;
  const first = start.round === 0 ? plan.adapter.start?.hash : undefined;
  const agreed = learningRateOfRound(plan.training, start.round, rounds);
  const deviation =
    start.rounds !== rounds || start.round >= rounds
      ? `round ${start.round} of ${start.rounds}, the plan has ${rounds}`
      : Math.abs(start.learningRate - agreed) > 1e-9 * agreed
        ? `a learning rate of ${start.learningRate}, the plan has ${agreed} there`
        : first !== undefined && start.base.hash !== first
          ? `a start from the adapter ${start.base.hash}, the plan starts from ${first}`
          : null;
  if (deviation !== null) throw new TributaryError('policy.deviation', `The hub asks for ${deviation}.`);
}
