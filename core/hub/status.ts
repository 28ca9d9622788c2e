/** @file Where every run stands and why it is not further, site by site. */

import type { HubContext } from './context.ts';
import type { UptimeClock } from './uptime.ts';
import { metricsOfCohort } from '../federation/metrics.ts';
import type { Metrics } from '../federation/metrics.ts';
import { deadlineOf, planOf, requiredApprovals } from './proposals.ts';
import type { RoundRecord, RunRecord } from './records.ts';
import { bestOf } from './scoring.ts';
import { siteStatus } from './site-status.ts';
import type { SiteStatus } from './site-status.ts';
import { metricsOfRound } from './steps.ts';
import { decide } from './view.ts';

export type { SiteStatus };

export interface RunStatus {
  readonly id: string;
  readonly name: string;
  readonly planHash: string;
  readonly state: RunRecord['state'] | 'paused';
  /** From 0; null before the run has started. */
  readonly round: number | null;
  readonly rounds: number;
  readonly phase: 'approving' | 'collecting' | 'waiting' | 'closing' | 'scoring' | 'holding' | 'ended';
  readonly reason: string;
  readonly secondsLeft: number | null;
  readonly sites: readonly SiteStatus[];
  /** The closed round that scored best on held-out rows so far, from 0; null without scores. */
  readonly best: number | null;
  /** Closed rounds. */
  readonly history: readonly {
    readonly round: number;
    readonly loss: number | null;
    /** Of the cohort; see `metricsOfCohort`. */
    readonly metrics: Metrics;
    /** Of the aggregate on rows that sites hold out, and how many; null where it was not scored. */
    readonly score: { readonly metrics: Metrics; readonly examples: number } | null;
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

const gone = { connected: false, since: null, step: null, steps: null };

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
        : [{ name: member.site, state: 'revoked', reason: 'no longer a member', ...gone }];
    }
    return [siteStatus(hub, { run, current, site: member.site, answer })];
  });
  // Read once: phase, reason and time left speak of one moment, at the deadline too.
  const seconds = current === null ? 0 : clock.seconds(current);
  const { phase, reason } = phaseOf(hub, { run, round: current, seconds });
  const isOpen = run.state === 'proposed' || run.state === 'running';
  return {
    id: run.id,
    name: plan.name,
    planHash: run.planHash,
    state: isOpen && run.paused !== null ? 'paused' : run.state,
    round: run.state === 'proposed' ? null : (current?.number ?? null),
    rounds: plan.federation.rounds,
    phase,
    reason,
    secondsLeft: run.state === 'running' ? Math.max(0, deadlineOf(run) - seconds) : null,
    sites,
    best: plan.evaluation === undefined ? null : (bestOf(hub, run)?.round ?? null),
    history: runs
      .rounds(run.id)
      .filter((round) => round.aggregate !== null)
      .map((round) => historyOf(hub, round)),
  };
}

function historyOf(hub: HubContext, round: RoundRecord): RunStatus['history'][number] {
  const traffic = hub.runs.traffic(round.run, round.number);
  const scores = hub.runs.scores(round.run, round.number);
  return {
    round: round.number,
    loss: round.loss,
    metrics: metricsOfRound(hub, round),
    score:
      scores.length === 0
        ? null
        : {
            metrics: metricsOfCohort(scores),
            examples: scores.reduce((sum, { examples }) => sum + examples, 0),
          },
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
  { run, round, seconds }: { run: RunRecord; round: RoundRecord | null; seconds: number },
): Pick<RunStatus, 'phase' | 'reason'> {
  const trouble = hub.trouble.get(run.id);
  if (run.state === 'proposed') {
    const phase = run.paused === null ? 'approving' : 'holding';
    return {
      phase,
      reason: trouble ?? (run.paused === null ? missingApprovals(hub, run) : `paused: ${run.paused}`),
    };
  }
  if (run.state !== 'running' || round === null) return { phase: 'ended', reason: run.reason };
  if (round.phase === 'closing') return { phase: 'closing', reason: trouble ?? 'summing the updates' };
  const decision = decide(hub, run, round, seconds);
  const going = round.phase === 'collecting' ? 'about to close' : 'about to go on';
  const reason = trouble ?? ('reason' in decision ? decision.reason : going);
  if (round.phase === 'scoring') return { phase: 'scoring', reason };
  if (round.phase === 'closed') return { phase: 'holding', reason };
  const overdue = seconds >= deadlineOf(run);
  const pausing = run.paused === null ? '' : `; then paused: ${run.paused}`;
  return { phase: overdue ? 'waiting' : 'collecting', reason: reason + pausing };
}

/** Who has yet to approve a proposed run, and who will not. */
function missingApprovals(hub: HubContext, run: RunRecord): string {
  const approved = hub.runs.approvedSites(run.id).length;
  const missing = `${approved} of the ${requiredApprovals(planOf(run))} sites needed have approved`;
  const declined = hub.runs.declines(run.id).map(({ site }) => site);
  return declined.length === 0 ? missing : `${missing}; declined by ${declined.join(', ')}`;
}
