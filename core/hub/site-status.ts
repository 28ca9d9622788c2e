/** @file What one site of a run is doing, and what it or the hub is waiting for. */

import type { HubContext } from './context.ts';
import { isAway, hasMissedLast } from './attendance.ts';
import type { Answer, RoundRecord, RunRecord } from './records.ts';
import { isAsked } from './steps.ts';

/** Without a heartbeat for so long a site is shown as away, before its connection is given up. */
const SILENT_SECONDS = 6;

export type SiteState =
  | 'asked'
  | 'declined'
  | 'excluded'
  | 'approved'
  | 'away'
  | 'not-drawn'
  | 'fetching'
  | 'training'
  | 'sending'
  | 'sent'
  | 'refused'
  | 'scoring'
  | 'revoked'
  | 'done';

export interface SiteStatus {
  readonly name: string;
  readonly state: SiteState;
  /** What it waits for or why it is no part of the round; empty where nothing is to be said. */
  readonly reason: string;
  readonly connected: boolean;
  /** Unix seconds since which it has been here or away; null if it was never here since the hub has started. */
  readonly since: number | null;
  /** Step of its training that it last told of, and of how many; null while it does not train. */
  readonly step: number | null;
  readonly steps: number | null;
}

interface Question {
  readonly run: RunRecord;
  readonly current: RoundRecord | null;
  readonly site: string;
  readonly answer: Answer | undefined;
}

/** A site that is a member, as it stands to a run. */
export function siteStatus(hub: HubContext, question: Question): SiteStatus {
  const { connected, since, progress } = hub.outbox.presence(question.site);
  const { state, reason } = stateOf(hub, question);
  const isTraining = state === 'training' && progress !== null;
  return {
    name: question.site,
    state,
    reason,
    connected,
    since,
    step: isTraining ? progress.step : null,
    steps: isTraining ? progress.steps : null,
  };
}

function stateOf(hub: HubContext, question: Question): Pick<SiteStatus, 'state' | 'reason'> {
  const { run, current, site, answer } = question;
  const away = absenceOf(hub, site);
  const ended = run.state !== 'proposed' && run.state !== 'running';
  if (answer === undefined) {
    if (ended) return { state: 'asked', reason: 'never answered the proposal' };
    return { state: 'asked', reason: ['has not answered the proposal', away].filter(Boolean).join(', ') };
  }
  if (!answer.approved) {
    if (answer.code === 'site.excluded') return { state: 'excluded', reason: answer.reason ?? '' };
    return { state: 'declined', reason: `${answer.code ?? ''}: ${answer.reason ?? ''}` };
  }
  if (ended) return { state: 'done', reason: run.reason };
  if (run.state === 'proposed') return { state: 'approved', reason: away || 'waiting for the other sites' };
  if (current === null) return { state: 'approved', reason: away };
  return stateInRound(hub, { ...question, current }, away);
}

/** Why a site cannot be working; empty while it is heard of. */
function absenceOf({ outbox, now }: HubContext, site: string): string {
  const { connected, since, silentSeconds } = outbox.presence(site);
  if (!connected)
    return since === null ? 'not connected yet' : `not connected for ${Math.max(0, now() - since)} s`;
  if (silentSeconds === null || silentSeconds <= SILENT_SECONDS) return '';
  return `connected, but nothing has been heard of it for ${Math.round(silentSeconds)} s`;
}

function stateInRound(
  hub: HubContext,
  { run, current, site }: Question & { readonly current: RoundRecord },
  away: string,
): Pick<SiteStatus, 'state' | 'reason'> {
  const sent = hub.runs.contribution(run.id, current.number, site);
  if (current.phase === 'scoring' && current.scorers?.includes(site)) {
    const score = hub.runs.scores(run.id, current.number).find((entry) => entry.site === site);
    if (score !== undefined) return { state: 'sent', reason: score.reason || 'its score is here' };
    return away ? { state: 'away', reason: away } : { state: 'scoring', reason: 'scoring the new aggregate' };
  }
  if (current.phase === 'closed') {
    return { state: away ? 'away' : 'approved', reason: away || waitOf(hub, run, site) };
  }
  if (sent?.state === 'committed') return { state: 'sent', reason: away || 'its update is here' };
  if (sent?.state === 'refused') {
    return { state: 'refused', reason: `${sent.code ?? ''}: ${sent.reason ?? ''}` };
  }
  if (!isAsked(current, site)) {
    return { state: 'not-drawn', reason: away || 'the round asks other sites, drawn by lot' };
  }
  if (away) {
    const isLeft = isAway(hub, site) && hasMissedLast(hub, current, site);
    return { state: 'away', reason: isLeft ? `${away}, and let the last round pass: not waited for` : away };
  }
  return activityOf(hub, run, current, site);
}

function activityOf(
  { outbox, now }: HubContext,
  run: RunRecord,
  current: RoundRecord,
  site: string,
): Pick<SiteStatus, 'state' | 'reason'> {
  const { progress, trouble } = outbox.presence(site);
  const isHere = progress !== null && progress.run === run.id && progress.round === current.number;
  if (trouble !== null && trouble.run === run.id) {
    const reason = `tries again after ${trouble.code}: ${trouble.reason} (${Math.max(0, now() - trouble.since)} s ago)`;
    return { state: isHere && progress.phase === 'sending' ? 'sending' : 'training', reason };
  }
  if (!isHere) return { state: 'approved', reason: 'has been told to start' };
  const { phase, step, steps } = progress;
  if (phase === 'training') return { state: 'training', reason: `step ${step} of ${steps}` };
  return phase === 'sending'
    ? { state: 'sending', reason: 'sending its update' }
    : { state: 'fetching', reason: 'fetching the adapter' };
}

/** What a site of a run waits for between two rounds. */
function waitOf({ runs }: HubContext, run: RunRecord, site: string): string {
  if (run.paused !== null) return 'waiting for the run to be resumed';
  if (run.amendment === null) return 'waiting for the next round';
  const answer = runs.amendmentAnswers(run.id).find((entry) => entry.site === site);
  if (answer === undefined) return 'has not answered the plan with more rounds';
  return answer.approved ? 'has approved more rounds' : `declined more rounds: ${answer.reason ?? ''}`;
}
