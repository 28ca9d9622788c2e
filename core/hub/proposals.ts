/** @file From a plan to a running run: proposing it, collecting the sites' answers, starting it. */

import { TributaryError } from '../errors.ts';
import { readTensors } from '../federation/codec.ts';
import { verify } from '../federation/identity.ts';
import type { Message, MessageOf } from '../federation/messages.ts';
import { encodePlan, openPlan, planHash } from '../federation/plan.ts';
import type { Plan } from '../federation/plan.ts';
import { learningRateOfRound } from '../federation/schedule.ts';
import { approvalStatement } from '../federation/statements.ts';
import type { ModelConfiguration } from '../model/configuration.ts';
import { initialAdapter } from '../model/lora.ts';
import { writeInitialState } from './closing.ts';
import type { HubContext } from './context.ts';
import type { Answer, RoundRecord, RunRecord } from './records.ts';

const opened = new Map<string, Plan>();

/** The plan of a run. Read once: the same hash is always the same plan. */
export function planOf(run: RunRecord): Plan {
  const plan = opened.get(run.planHash) ?? openPlan(run.plan, run.planHash);
  opened.set(run.planHash, plan);
  return plan;
}

/** A site's answer where it counts: an approval of one that is still a member. */
export function approvalOf(
  { runs, members }: Pick<HubContext, 'runs' | 'members'>,
  run: string,
  site: string,
): Answer | null {
  const answer = runs.answer(run, site);
  return answer?.approved && members.find(site)?.revoked === null ? answer : null;
}

/** Approvals without which a run does not start. */
export function requiredApprovals({ federation: { minSites, minApprovals = 1, cohort } }: Plan): number {
  return Math.max(minSites, minApprovals, cohort !== undefined && 'sites' in cohort ? cohort.sites : 1);
}

/** Seconds of uptime that a round may take: the plan's deadline, or what it was extended to. */
export function deadlineOf(run: RunRecord): number {
  return run.deadline ?? planOf(run).federation.deadline;
}

/** The message that starts a round at a site. */
export function roundStart(run: RunRecord, round: RoundRecord, seconds: number): MessageOf<'round-start'> {
  const { training, federation } = planOf(run);
  return {
    type: 'round-start',
    run: run.id,
    round: round.number,
    rounds: federation.rounds,
    learningRate: learningRateOfRound(training, round.number, federation.rounds),
    base: round.base,
    ...(round.control && { control: round.control }),
    secondsLeft: Math.max(0, deadlineOf(run) - seconds),
  };
}

/** What the ledger says of a round that begins. */
export function roundStartEntry(message: MessageOf<'round-start'>): Record<string, string | number> {
  const { run, round, base, control, learningRate } = message;
  return { run, round, base: base.hash, ...(control && { control: control.hash }), learningRate };
}

/** A name for files and commands, made of words and a number. */
export function identifier(name: string, number: number): string {
  const words = name
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return `${words.slice(0, 40).replace(/-+$/, '').toLowerCase() || 'run'}-${number}`;
}

/** Throws `plan.invalid` where examples would be longer than the model takes. */
export function checkLength({ training, model }: Plan, { maximumPositions }: ModelConfiguration): void {
  if (training.maxLength <= maximumPositions) return;
  const limit = `${model.id} takes ${maximumPositions} tokens at most`;
  throw new TributaryError('plan.invalid', `training.maxLength is ${training.maxLength}, but ${limit}.`);
}

/**
 * Enters a run and tells every connected member. The initial adapter needs only the model's dimensions; another
 * start lies in the hub's blobs already.
 */
export async function propose(
  hub: HubContext,
  plan: Plan,
  configuration: ModelConfiguration,
): Promise<{ run: string; planHash: string }> {
  const { runs, members, store, blobs } = hub;
  const { minSites } = plan.federation;
  checkLength(plan, configuration);
  const given = plan.adapter.start;
  const adapter =
    given === undefined
      ? initialAdapter(configuration, plan.adapter, plan.seed)
      : readTensors(blobs.path(given.hash));
  const start = await writeInitialState(blobs, plan, adapter);
  const number = runs.countRuns() + 1;
  const id = identifier(plan.name, number);
  const run = {
    id,
    number,
    plan: encodePlan(plan),
    planHash: planHash(plan),
    configuration: JSON.stringify(configuration),
  };
  store.transition('propose', () => {
    runs.insertRun(run);
    runs.insertRound({ run: id, number: 0, ...start });
    runs.putBroadcast(id, 0, start);
    store.ledger.append('plan', { run: id, planHash: run.planHash, plan: run.plan });
  });
  const present = members.all().filter(({ revoked }) => revoked === null);
  hub.log.info({ run: id, planHash: run.planHash, minSites, members: present.length }, 'proposed');
  hub.emit({ type: 'proposed', run: id });
  const message: Message = { type: 'proposal', run: id, plan: run.plan, planHash: run.planHash };
  for (const { site } of present) hub.outbox.send(site, message);
  return { run: id, planHash: run.planHash };
}

/** Takes a site's yes. Returns whether it takes part from now on. Throws `plan.hash-mismatch` or `identity.bad-signature`. */
export function takeApproval(hub: HubContext, site: string, message: MessageOf<'approval'>): boolean {
  const { runs, members, store } = hub;
  const run = runs.run(message.run);
  if (run === null) throw new TributaryError('run.unknown', `The hub has no run ${message.run}.`);
  if (run.state !== 'proposed' && run.state !== 'running') return false;
  const member = members.find(site);
  const isAmendment = message.planHash === run.amendment?.planHash;
  const refusal = refusalOfApproval(run, message, member?.ed25519);
  if (refusal !== null) {
    store.transition('answer', () => {
      store.ledger.append('refusal', { site, run: run.id, code: refusal.code, reason: refusal.message });
    });
    throw refusal;
  }
  const before = isAmendment ? runs.amendmentAnswer(run.id, site) : runs.answer(run.id, site);
  if (before?.approved === true && before.examples === message.examples) return false;
  store.transition('answer', () => {
    const { examples } = message;
    const answer = { site, approved: true, examples, code: null, reason: null };
    if (isAmendment) runs.putAmendmentAnswer(run.id, answer);
    else runs.putAnswer(run.id, answer);
    store.ledger.append('approval', {
      site,
      run: run.id,
      planHash: message.planHash,
      examples,
      signature: Buffer.from(message.signature).toString('base64url'),
    });
  });
  hub.emit({ type: 'approved', run: run.id, site, examples: message.examples });
  return !isAmendment;
}

function refusalOfApproval(
  run: RunRecord,
  { planHash: approved, signature }: MessageOf<'approval'>,
  key: Uint8Array | undefined,
): TributaryError | null {
  if (approved !== run.planHash && approved !== run.amendment?.planHash) {
    const what = `The site approved a plan with the hash ${approved}, but that of ${run.id} is ${run.planHash}.`;
    return new TributaryError('plan.hash-mismatch', what);
  }
  if (key === undefined || !verify(key, approvalStatement({ run: run.id, planHash: approved }), signature)) {
    return new TributaryError(
      'identity.bad-signature',
      `The approval of ${run.id} is not signed by the site.`,
    );
  }
  return null;
}

/** Takes a site's no; it may change its mind as long as the run is open. */
export function takeDecline(hub: HubContext, site: string, message: MessageOf<'decline'>): void {
  const { runs, store } = hub;
  const run = runs.run(message.run);
  if (run === null || (run.state !== 'proposed' && run.state !== 'running')) return;
  const { code, reason, planHash: declined } = message;
  const isAmendment = declined === run.amendment?.planHash;
  const before = isAmendment ? runs.amendmentAnswer(run.id, site) : runs.answer(run.id, site);
  if (before !== null && !before.approved && before.code === code && before.reason === reason) return;
  store.transition('answer', () => {
    const answer = { site, approved: false, examples: null, code, reason };
    if (isAmendment) runs.putAmendmentAnswer(run.id, answer);
    else runs.putAnswer(run.id, answer);
    store.ledger.append('refusal', { site, run: run.id, code, reason });
  });
  hub.emit({ type: 'declined', run: run.id, site, reason });
}

/** Whether enough sites have approved a proposed run for it to start. */
export function isReady(hub: HubContext, run: RunRecord): boolean {
  return run.paused === null && hub.runs.approvedSites(run.id).length >= requiredApprovals(planOf(run));
}

/** Why a proposed run will never start: every member has declined it. Null while there is hope. */
export function hopeless({ runs, members }: HubContext, run: RunRecord): string | null {
  // A site that has only paused may be back.
  const declines = runs.declines(run.id).filter(({ code }) => code !== 'site.paused');
  if (declines.length === 0) return null;
  const present = new Set(members.all().flatMap(({ site, revoked }) => (revoked === null ? [site] : [])));
  const reasons = declines.flatMap(({ site, code, reason }) =>
    present.has(site) ? [`${site}: ${reason ?? code ?? ''}`] : [],
  );
  if (present.size === 0 || reasons.length < present.size) return null;
  return `every site has declined; ${reasons.join('; ')}`;
}
