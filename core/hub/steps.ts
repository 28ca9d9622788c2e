/** @file The steps of a run, each one transaction, and what sites are told once it is on disk. */

import type { Published } from '../federation/broadcast.ts';
import { drawCohort } from '../federation/cohort.ts';
import { isScored } from '../federation/held-out.ts';
import { metricsOfCohort } from '../federation/metrics.ts';
import type { Metrics } from '../federation/metrics.ts';
import type { MessageOf } from '../federation/messages.ts';
import type { BlobReference } from '../federation/shapes.ts';
import { computeAggregate } from './closing.ts';
import type { CloseResult } from './closing.ts';
import type { HubContext } from './context.ts';
import { planOf, roundStart, roundStartEntry } from './proposals.ts';
import type { RoundRecord, RunRecord } from './records.ts';
import { removeUnused } from './retention.ts';
import { bestOf, scorersOf } from './scoring.ts';
import type { UptimeClock } from './uptime.ts';

/** The first round begins. */
export function startRun(hub: HubContext, run: RunRecord): void {
  hub.store.transition('start-run', () => {
    hub.runs.setRunState(run.id, 'running', '');
    beginRound(hub, run.id);
  });
  const sites = hub.runs.approvedSites(run.id);
  hub.log.info({ run: run.id, sites }, 'started');
  hub.emit({ type: 'started', run: run.id });
  announceStart(hub, run.id);
}

/** Collecting is over: the cohort is fixed. */
export function beginClosing(
  hub: HubContext,
  clock: UptimeClock,
  round: RoundRecord,
  cohort: readonly string[],
): void {
  hub.store.transition('begin-closing', () => {
    hub.runs.putPhaseSeconds(round, 'collecting', clock.seconds(round));
    hub.runs.setPhase(round, 'closing', cohort);
  });
}

/** Writes what a phase has taken: the seconds of the round without those of the phases before it. */
function putPhaseSeconds({ runs }: HubContext, round: RoundRecord, phase: RoundRecord['phase']): void {
  const before = Object.entries(runs.phaseSeconds(round.run, round.number));
  const others = before.reduce((sum, [name, seconds]) => sum + (name === phase ? 0 : seconds), 0);
  const seconds = runs.round(round.run, round.number)?.seconds ?? 0;
  runs.putPhaseSeconds(round, phase, Math.max(0, seconds - others));
}

/** Calls upon sites that the round has not asked so far. */
export function callUp(
  hub: HubContext,
  run: RunRecord,
  round: RoundRecord,
  { sites, reason, seconds }: { sites: readonly string[]; reason: string; seconds: number },
): void {
  const selected = [...(round.selected ?? []), ...sites].sort();
  hub.store.transition('call-up', () => hub.runs.setSelected(round, selected));
  hub.log.info({ run: run.id, round: round.number, sites, reason }, 'called upon more sites');
  const message = roundStart(run, { ...round, selected }, seconds);
  for (const site of sites) hub.outbox.send(site, message);
}

/** Sums the cohort's updates. Where sites score the aggregate the round goes on with that, else it is closed. */
export async function closeRound(
  hub: HubContext,
  clock: UptimeClock,
  run: RunRecord,
  round: RoundRecord,
): Promise<void> {
  const { runs, blobs, store, outbox } = hub;
  const plan = planOf(run);
  const cohort = new Set(round.cohort);
  const contributions = runs
    .contributions(run.id, round.number)
    .filter(({ site, state }) => state === 'committed' && cohort.has(site));
  const members = runs.approvedSites(run.id).length;
  const result = await computeAggregate({ blobs, plan, round, contributions, members });
  if ('lost' in result) {
    await loseUpdate(hub, run, round, result);
    return;
  }
  store.crashPoint('aggregate-written');
  clock.save();
  const { start, loss } = result;
  const sites = hub.runs.approvedSites(run.id);
  const scorers = isScored(plan, round.number) ? scorersOf(hub, round, sites) : null;
  const { hash, size } = start.base;
  const aggregate = { hash, size };
  const traffic = sites.map((site) => outbox.traffic(site));
  const ledgerEntry = store.transition('close-round', () => {
    const entry = store.ledger.append('aggregate', {
      run: run.id,
      round: round.number,
      hash: aggregate.hash,
      size: aggregate.size,
      state: start.state,
      cohort: round.cohort,
      loss,
    });
    putPhaseSeconds(hub, round, 'closing');
    runs.putBroadcast(run.id, round.number + 1, start);
    runs.setAggregate(round, { aggregate, loss, ledgerIndex: entry.index, nextState: start.state, scorers });
    for (const entry of traffic) runs.addTraffic(round, entry);
    return entry;
  });
  for (const entry of traffic) outbox.settleTraffic(entry);
  announceRound(hub, run, round, loss);
  const about = { run: run.id, round: round.number };
  for (const site of sites) {
    outbox.send(site, { type: 'round-closed', ...about, aggregate, cohort: [...cohort], loss, ledgerEntry });
  }
  for (const site of scorers ?? []) outbox.send(site, { type: 'evaluate', ...about, adapter: start.base });
}

/** The scores that have come are those that count. */
export function endScoring(hub: HubContext, clock: UptimeClock, run: RunRecord, round: RoundRecord): void {
  clock.save();
  const scores = hub.runs.scores(run.id, round.number);
  const metrics = metricsOfCohort(scores);
  const examples = scores.reduce((sum, score) => sum + score.examples, 0);
  const sites = scores.flatMap((score) => (score.examples > 0 ? [score.site] : []));
  hub.store.transition('end-scoring', () => {
    putPhaseSeconds(hub, round, 'scoring');
    hub.runs.setPhase(round, 'closed', round.cohort);
    hub.store.ledger.append('evaluation', { run: run.id, round: round.number, metrics, examples, sites });
  });
  hub.emit({ type: 'scored', run: run.id, round: round.number, metrics, examples, sites });
}

/** Opens the round after a closed one; the first one of an amended plan puts that in the place of the plan. */
export function openNext(hub: HubContext, run: RunRecord, closed: RoundRecord): void {
  const { runs, store } = hub;
  const { aggregate: base, nextState: state, number } = closed;
  if (base === null || state === null) throw new TypeError(`Round ${number} of ${run.id} is not closed.`);
  const amended = number + 1 < planOf(run).federation.rounds ? null : run.amendment;
  store.transition('open-round', () => {
    if (amended !== null) {
      runs.adoptAmendment(run.id, amended);
      store.ledger.append('plan', { run: run.id, ...amended });
    }
    runs.insertRound({ run: run.id, number: number + 1, base, state });
    beginRound(hub, run.id);
  });
  announceStart(hub, run.id);
}

/** Draws the sites of the current round, which begins; within a transition. */
export function beginRound(hub: HubContext, id: string): void {
  const run = hub.runs.run(id);
  const round = hub.runs.currentRound(id);
  if (run === null || round === null) throw new TypeError(`${id} has no round.`);
  const members = hub.runs.approvedSites(id);
  hub.runs.setSelected(round, drawCohort(members, planOf(run), round.number));
  hub.store.ledger.append('round-start', roundStartEntry(roundStart(run, round, 0)));
}

/** Tells the sites of the current round to start, and the others why they have nothing to do. */
export function announceStart(hub: HubContext, id: string): void {
  const run = hub.runs.run(id);
  const round = hub.runs.currentRound(id);
  if (run === null || round === null) return;
  const message = roundStart(run, round, 0);
  for (const site of hub.runs.approvedSites(id)) {
    hub.outbox.send(site, isAsked(round, site) ? message : notDrawn(run, round));
  }
}

/** Whether a round asks a site of its run. */
export function isAsked({ selected }: RoundRecord, site: string): boolean {
  return selected === null || selected.includes(site);
}

/** What a site is told that a round does not ask. */
export function notDrawn(run: RunRecord, { number, selected }: RoundRecord): MessageOf<'run-notice'> {
  const reason = `Round ${number + 1} of ${run.id} asks ${selected?.length ?? 0} sites, drawn by lot; this one is not among them.`;
  return { type: 'run-notice', run: run.id, round: number, kind: 'not-drawn', reason };
}

/** A committed update that the disk has damaged: the site is asked for it once more. */
async function loseUpdate(
  hub: HubContext,
  run: RunRecord,
  round: RoundRecord,
  { lost: { site, hash }, reason }: Extract<CloseResult, { lost: unknown }>,
): Promise<void> {
  hub.log.error({ run: run.id, round: round.number, site }, `A stored update is damaged: ${reason}`);
  await hub.blobs.remove(hash); // else it would pass for the one that is sent again
  hub.store.transition('lose-update', () => {
    hub.runs.dropContribution(round, site);
    hub.runs.setPhase(round, 'collecting', null);
    const entry = { site, run: run.id, round: round.number, code: 'blob.damaged', reason };
    hub.store.ledger.append('refusal', entry);
  });
  hub.outbox.send(site, roundStart(run, round, round.seconds));
}

function announceRound(hub: HubContext, run: RunRecord, round: RoundRecord, loss: number): void {
  const traffic = hub.runs.traffic(run.id, round.number);
  hub.emit({
    type: 'round',
    run: run.id,
    round: round.number,
    loss,
    metrics: metricsOfRound(hub, round),
    bytesUp: traffic.reduce((sum, { up }) => sum + up, 0),
    bytesDown: traffic.reduce((sum, { down }) => sum + down, 0),
    seconds: hub.runs.round(run.id, round.number)?.seconds ?? 0,
    phases: hub.runs.phaseSeconds(run.id, round.number),
    cohort: round.cohort ?? [],
  });
}

/** What the cohort of a round has measured beside its loss. */
export function metricsOfRound({ runs }: HubContext, { run, number, cohort }: RoundRecord): Metrics {
  const members = new Set(cohort);
  return metricsOfCohort(runs.contributions(run, number).filter(({ site }) => members.has(site)));
}

/** Completes a run with its last aggregate, or with the best one where the plan stops early. */
export async function completeRun(hub: HubContext, run: RunRecord, round: RoundRecord): Promise<void> {
  const best = planOf(run).federation.earlyStop === undefined ? null : bestOf(hub, run);
  const chosen = best === null ? round : hub.runs.round(run.id, best.round);
  const adapter = chosen?.aggregate ?? round.aggregate;
  const isLast = round.number + 1 >= planOf(run).federation.rounds;
  const reason =
    best === null || (isLast && best.round === round.number)
      ? ''
      : `${isLast ? 'completed' : 'stopped early after round ' + String(round.number + 1)}; the adapter is that of round ${best.round + 1}, whose ${best.metric} ${best.value} was the best`;
  await endRun(hub, run, { state: 'completed', reason, adapter });
}

/** Ends a run. */
export async function endRun(
  hub: HubContext,
  run: RunRecord,
  {
    state,
    reason,
    adapter = null,
  }: { state: 'completed' | 'failed' | 'cancelled'; reason: string; adapter?: BlobReference | null },
): Promise<void> {
  const { runs, store, members } = hub;
  store.transition('end-run', () => {
    runs.setRunState(run.id, state, reason);
    if (adapter !== null) runs.setRunAdapter(run.id, adapter);
    store.ledger.append('run-end', { run: run.id, state, reason, adapter: adapter?.hash ?? null });
  });
  hub.log.info({ run: run.id, state }, 'ended');
  hub.emit({ type: 'ended', run: run.id, state, reason });
  const message = runEnded(run.id, state, reason, runs.run(run.id)?.adapter ?? null);
  for (const { site, revoked } of members.all()) {
    if (revoked === null && message !== null) hub.outbox.send(site, message);
  }
  await removeUnused(hub);
}

/** The message that ends a run at a site, or null while it goes on. */
export function runEnded(
  id: string,
  state: RunRecord['state'],
  reason: string,
  adapter: Published | null,
): MessageOf<'run-ended'> | null {
  if (state === 'proposed' || state === 'running') return null;
  return { type: 'run-ended', run: id, state, reason: reason.slice(0, 2000), adapter };
}
