/** @file What a coordinator may do with a run under way: hold it, go on, give it more time or more rounds. */

import { TributaryError } from '../errors.ts';
import type { Message, MessageOf } from '../federation/messages.ts';
import { encodePlan, extendPlan, planHash } from '../federation/plan.ts';
import type { HubContext } from './context.ts';
import { deadlineOf, planOf } from './proposals.ts';
import type { RunRecord } from './records.ts';

/**
 * Holds a run: the round under way is finished, and no other is opened. Returns whether any has begun. Throws
 * `run.not-open`.
 */
export function pauseRun(hub: HubContext, run: RunRecord, reason: string): { readonly begun: boolean } {
  requireOpen(run);
  hub.store.transition('pause', () => {
    hub.runs.setPaused(run.id, reason);
    hub.store.ledger.append('pause', { run: run.id, paused: true, reason });
  });
  const begun = run.state === 'running';
  hub.emit({ type: 'paused', run: run.id, reason, begun });
  const round = hub.runs.currentRound(run.id)?.number ?? 0;
  tell(hub, run.id, pauseNotice(run, round, reason));
  return { begun };
}

/** What the sites of a paused run are told. */
export function pauseNotice({ id, state }: RunRecord, round: number, why: string): MessageOf<'run-notice'> {
  const when = state === 'running' ? 'after the round under way' : 'before its first round';
  const reason = `The coordinator has paused ${id} ${when}: ${why}`.slice(0, 2000);
  return { type: 'run-notice', run: id, round, kind: 'paused', reason };
}

/** Lets a paused run go on. Throws `run.not-open`, `run.not-paused`. */
export function resumeRun(hub: HubContext, run: RunRecord): void {
  requireOpen(run);
  if (run.paused === null) throw new TributaryError('run.not-paused', `${run.id} is not paused.`);
  hub.store.transition('resume', () => {
    hub.runs.setPaused(run.id, null);
    hub.store.ledger.append('pause', { run: run.id, paused: false, reason: '' });
  });
  hub.emit({ type: 'resumed', run: run.id });
  const round = hub.runs.currentRound(run.id)?.number ?? 0;
  tell(hub, run.id, { type: 'run-notice', run: run.id, round, kind: 'resumed', reason: '' });
}

export interface Extension {
  /** Rounds of the run in all. */
  readonly rounds?: number;
  /** Seconds that a round may take from now on. */
  readonly deadline?: number;
}

/**
 * Extends a run. A longer deadline counts at once, since it asks nothing new of any site. More rounds are an amended
 * plan: sites approve it by its own hash while the run goes on, and its first round opens once enough of them have;
 * the rounds of the plan that they approved before stay as they are.
 * Throws `run.not-open`, and `plan.invalid` for what would not be longer.
 */
export function extendRun(
  hub: HubContext,
  run: RunRecord,
  extension: Extension,
): { planHash: string | null } {
  requireOpen(run);
  const { rounds, deadline } = extension;
  const plan = planOf(run);
  if (rounds !== undefined && rounds <= plan.federation.rounds) {
    throw new TributaryError(
      'plan.invalid',
      `federation.rounds is ${plan.federation.rounds} already; ${rounds} would be no extension.`,
    );
  }
  if (deadline !== undefined && deadline <= deadlineOf(run)) {
    throw new TributaryError(
      'plan.invalid',
      `federation.deadline is ${deadlineOf(run)} s already; ${deadline} s would be no extension.`,
    );
  }
  const amended = rounds === undefined ? null : extendPlan(plan, rounds);
  const amendment = amended && { plan: encodePlan(amended), planHash: planHash(amended) };
  hub.store.transition('extend', () => {
    if (deadline !== undefined) hub.runs.setDeadline(run.id, deadline);
    if (amendment !== null) hub.runs.amend(run.id, amendment);
    hub.store.ledger.append('amendment', {
      run: run.id,
      amends: run.planHash,
      ...(deadline !== undefined && { deadline }),
      ...amendment,
    });
  });
  hub.emit({ type: 'extended', run: run.id });
  const extended = hub.runs.run(run.id);
  if (extended === null) throw new TypeError(`${run.id} has gone.`);
  for (const site of hub.runs.approvedSites(run.id)) {
    for (const message of amendmentOf(hub, site, extended)) hub.outbox.send(site, message);
  }
  return { planHash: amendment?.planHash ?? null };
}

/** The amended plan that a site of the run has not answered yet. */
export function amendmentOf(
  { runs }: HubContext,
  site: string,
  { id: run, planHash: amends, amendment }: RunRecord,
): Message[] {
  if (amendment === null || runs.amendmentAnswer(run, site) !== null) return [];
  return [{ type: 'amendment', run, ...amendment, amends }];
}

function tell(hub: HubContext, run: string, message: Message): void {
  for (const site of hub.runs.approvedSites(run)) hub.outbox.send(site, message);
}

function requireOpen({ id, state }: RunRecord): void {
  if (state === 'proposed' || state === 'running') return;
  throw new TributaryError('run.not-open', `${id} is ${state} already.`);
}
