/** @file What sites make of an aggregate on rows that they hold out: whose scores are awaited, which round is best. */

import { bestRound, isScored } from '../federation/held-out.ts';
import type { ScoreName } from '../federation/held-out.ts';
import { METRIC_NAMES, metricsOfCohort } from '../federation/metrics.ts';
import type { MessageOf } from '../federation/messages.ts';
import { hasMissedLast } from './attendance.ts';
import type { HubContext } from './context.ts';
import { approvalOf, planOf } from './proposals.ts';
import type { RoundRecord, RunRecord } from './records.ts';

/**
 * The sites whose scores of a round's aggregate are awaited: all of the run but those that let their last round pass.
 * Read off what is on disk alone, so that a hub that was killed awaits the same ones.
 */
export function scorersOf(hub: HubContext, round: RoundRecord, approved: readonly string[]): string[] {
  const next = { ...round, number: round.number + 1 };
  return approved.filter((site) => !hasMissedLast(hub, next, site)).sort();
}

/** Takes a site's score while it is awaited. Returns whether it was. */
export function takeScore(hub: HubContext, site: string, message: MessageOf<'score'>): boolean {
  const { runs, store } = hub;
  const { run: id, round: at, examples, metrics, reason } = message;
  const run = runs.run(id);
  const round = runs.round(id, at);
  if (run?.state !== 'running' || round?.phase !== 'scoring') return false;
  if (approvalOf(hub, id, site) === null) return false;
  if (runs.scores(id, at).some((entry) => entry.site === site)) return false;
  const known = Object.entries(metrics).filter(
    ([name, value]) => METRIC_NAMES.includes(name) && Number.isFinite(value),
  );
  const { evaluation } = planOf(run);
  const enough = evaluation !== undefined && examples >= evaluation.minimum;
  const counted = enough ? Object.fromEntries(known) : {};
  store.transition('score', () => {
    runs.putScore(round, { site, examples: enough ? examples : 0, metrics: counted, reason });
  });
  return true;
}

/** The best round of a run so far by the number that its plan goes by, else by the loss; null without scores. */
export function bestOf(
  { runs }: Pick<HubContext, 'runs'>,
  run: RunRecord,
): { round: number; metric: ScoreName; value: number; since: number } | null {
  const plan = planOf(run);
  const scores = runs
    .rounds(run.id)
    .filter((round) => round.phase === 'closed' && isScored(plan, round.number))
    .map(({ number }) => ({ round: number, metrics: metricsOfCohort(runs.scores(run.id, number)) }));
  const best = bestRound(scores, plan.federation.earlyStop);
  return best && { ...best, metric: plan.federation.earlyStop?.metric ?? 'heldOutLoss' };
}

/** Whether the scores up to a closed round end its run before the last round. */
export function hasStoppedEarly(hub: Pick<HubContext, 'runs'>, run: RunRecord, round: RoundRecord): boolean {
  const { earlyStop } = planOf(run).federation;
  if (earlyStop === undefined || round.phase !== 'closed') return false;
  return (bestOf(hub, run)?.since ?? 0) >= earlyStop.patience;
}
