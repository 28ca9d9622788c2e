/** @file Where every run stands and why it is not further, site by site. */

import type { HubContext } from './context.ts';
import type { UptimeClock } from './uptime.ts';
import type { Metrics } from '../federation/metrics.ts';
import { decide, metricsOfRound } from './progress.ts';
import { planOf } from './proposals.ts';
import type { Answer, RoundRecord, RunRecord } from './records.ts';

export interface SiteStatus {
  readonly name: string;
  readonly state:
    | 'asked'
    | 'declined'
    | 'approved'
    | 'away'
    | 'fetching'
    | 'training'
    | 'sending'
    | 'sent'
    | 'refused'
    | 'revoked'
    | 'done';
  readonly reason: string;
}

export interface RunStatus {
  readonly id: string;
  readonly name: string;
  readonly planHash: string;
  readonly state: RunRecord['state'];
  /** From 0; null before the run has started. */
  readonly round: number | null;
  readonly rounds: number;
  readonly phase: 'approving' | 'collecting' | 'waiting' | 'closing' | 'ended';
  readonly reason: string;
  readonly secondsLeft: number | null;
  readonly sites: readonly SiteStatus[];
  /** Closed rounds. */
  readonly history: readonly {
    readonly round: number;
    readonly loss: number | null;
    /** Of the cohort; see `metricsOfCohort`. */
    readonly metrics: Metrics;
    readonly bytesUp: number;
    readonly bytesDown: number;
    readonly seconds: number;
    /** Of these, by the round's phase. */
    readonly phases: Readonly<Record<string, number>>;
    readonly cohort: readonly string[];
    readonly sites: readonly {
      readonly name: string;
      readonly bytesUp: number;
      readonly bytesDown: number;
    }[];
  }[];
}

/** Without a heartbeat for so long a site is shown as away, before its connection is given up. */
const SILENT_SECONDS = 6;

/** All runs, oldest first. */
export function runStatuses(hub: HubContext, clock: UptimeClock): RunStatus[] {
  return hub.runs.runs().map((run) => statusOf(hub, clock, run));
}

function statusOf(hub: HubContext, clock: UptimeClock, run: RunRecord): RunStatus {
  const { runs, members } = hub;
  const plan = planOf(run);
  const current = runs.currentRound(run.id);
  const answers = new Map(runs.answers(run.id).map((answer) => [answer.site, answer]));
  const sites = members.all().flatMap((member): SiteStatus[] => {
    const answer = answers.get(member.site);
    if (member.revoked !== null) {
      return answer === undefined
        ? []
        : [{ name: member.site, state: 'revoked', reason: 'no longer a member' }];
    }
    return [{ name: member.site, ...siteStatus(hub, { run, current, site: member.site, answer }) }];
  });
  const { phase, reason } = phaseOf(hub, clock, run, current);
  const seconds = current === null ? 0 : clock.seconds(current);
  return {
    id: run.id,
    name: plan.name,
    planHash: run.planHash,
    state: run.state,
    round: run.state === 'proposed' ? null : (current?.number ?? null),
    rounds: plan.federation.rounds,
    phase,
    reason,
    secondsLeft: run.state === 'running' ? Math.max(0, plan.federation.deadline - seconds) : null,
    sites,
    history: runs
      .rounds(run.id)
      .filter((round) => round.phase === 'closed')
      .map((round) => historyOf(hub, round)),
  };
}

function historyOf(hub: HubContext, round: RoundRecord): RunStatus['history'][number] {
  const traffic = hub.runs.traffic(round.run, round.number);
  return {
    round: round.number,
    loss: round.loss,
    metrics: metricsOfRound(hub, round),
    bytesUp: traffic.reduce((sum, { up }) => sum + up, 0),
    bytesDown: traffic.reduce((sum, { down }) => sum + down, 0),
    seconds: round.seconds,
    phases: hub.runs.phaseSeconds(round.run, round.number),
    cohort: round.cohort ?? [],
    sites: traffic.map(({ site, up, down }) => ({ name: site, bytesUp: up, bytesDown: down })),
  };
}

function phaseOf(
  hub: HubContext,
  clock: UptimeClock,
  run: RunRecord,
  round: RoundRecord | null,
): Pick<RunStatus, 'phase' | 'reason'> {
  const trouble = hub.trouble.get(run.id);
  if (run.state === 'proposed') {
    const approved = hub.runs.answers(run.id).filter((answer) => answer.approved).length;
    const { minSites } = planOf(run).federation;
    const missing = `${approved} of the ${minSites} sites needed have approved`;
    return { phase: 'approving', reason: trouble ?? missing };
  }
  if (run.state !== 'running' || round === null) return { phase: 'ended', reason: run.reason };
  if (round.phase === 'closing') return { phase: 'closing', reason: trouble ?? 'summing the updates' };
  const decision = decide(hub, run, round, clock.seconds(round));
  const overdue = clock.seconds(round) >= planOf(run).federation.deadline;
  const reason = trouble ?? (decision.next === 'close' ? 'about to close' : decision.reason);
  return { phase: overdue ? 'waiting' : 'collecting', reason };
}

interface Question {
  readonly run: RunRecord;
  readonly current: RoundRecord | null;
  readonly site: string;
  readonly answer: Answer | undefined;
}

function siteStatus(hub: HubContext, { run, current, site, answer }: Question): Omit<SiteStatus, 'name'> {
  const { connected, since, silentSeconds, progress } = hub.outbox.presence(site);
  const absence =
    since === null ? 'not connected yet' : `not connected for ${Math.max(0, hub.now() - since)} s`;
  const silence =
    silentSeconds !== null && silentSeconds > SILENT_SECONDS
      ? `connected, but nothing has been heard of it for ${Math.round(silentSeconds)} s`
      : '';
  const away = connected ? silence : absence;
  const ended = run.state !== 'proposed' && run.state !== 'running';
  if (answer === undefined) {
    if (ended) return { state: 'asked', reason: 'never answered the proposal' };
    return { state: 'asked', reason: ['has not answered the proposal', away].filter(Boolean).join(', ') };
  }
  if (!answer.approved) return { state: 'declined', reason: `${answer.code ?? ''}: ${answer.reason ?? ''}` };
  if (ended) return { state: 'done', reason: run.reason };
  if (run.state === 'proposed') return { state: 'approved', reason: away || 'waiting for the other sites' };
  const sent = current && hub.runs.contributions(run.id, current.number).find((entry) => entry.site === site);
  if (sent?.state === 'committed') return { state: 'sent', reason: away || 'its update is here' };
  if (sent?.state === 'refused')
    return { state: 'refused', reason: `${sent.code ?? ''}: ${sent.reason ?? ''}` };
  if (away !== '') return { state: 'away', reason: away };
  if (progress === null || progress.run !== run.id || progress.round !== current?.number) {
    return { state: 'approved', reason: 'has been told to start' };
  }
  const { phase, step, steps } = progress;
  if (phase === 'training') return { state: 'training', reason: `step ${step} of ${steps}` };
  return phase === 'sending'
    ? { state: 'sending', reason: 'sending its update' }
    : { state: 'fetching', reason: 'fetching the adapter' };
}
