/** @file Moves runs on: looks at every running round, closes it, opens the next, ends the run. */

import { toTributaryError } from '../errors.ts';
import type { Published } from '../federation/broadcast.ts';
import { metricsOfCohort } from '../federation/metrics.ts';
import type { Metrics } from '../federation/metrics.ts';
import { computeAggregate } from './closing.ts';
import type { CloseResult, RoundStart } from './closing.ts';
import type { HubContext } from './context.ts';
import { approvals, planOf, roundStart, roundStartEntry, startIfReady } from './proposals.ts';
import type { RoundRecord, RunRecord } from './records.ts';
import { PHASES } from './rounds.ts';
import type { Decision, RoundView } from './rounds.ts';
import { removeUnused } from './retention.ts';
import type { UptimeClock } from './uptime.ts';

/** The round as its table of phases looks at it. */
export function viewOf(hub: HubContext, run: RunRecord, round: RoundRecord, seconds: number): RoundView {
  const { minSites, deadline } = planOf(run).federation;
  const sent = new Map(
    hub.runs.contributions(run.id, round.number).map((entry) => [entry.site, entry.state]),
  );
  const names = new Set([...approvals(hub, run.id).map(({ site }) => site)]);
  // An update that was committed counts, also of a site that was revoked or has withdrawn since.
  for (const [site, state] of sent) if (state === 'committed') names.add(site);
  const sites = [...names].map((name) => ({ name, state: sent.get(name) ?? ('awaited' as const) }));
  return { sites, minSites, seconds, deadline };
}

/** What the current round of a running run waits for or does next. */
export function decide(hub: HubContext, run: RunRecord, round: RoundRecord, seconds: number): Decision {
  return PHASES[round.phase].decide(viewOf(hub, run, round, seconds));
}

/** Takes every step that is due. Call it in turn, after anything has changed and once a second. */
export async function advance(hub: HubContext, clock: UptimeClock): Promise<void> {
  for (const run of hub.runs.runs()) {
    try {
      await advanceRun(hub, clock, run.id);
    } catch (thrown) {
      const { code, message } = toTributaryError(thrown);
      hub.log.error({ run: run.id, code }, `The run cannot go on: ${message}`);
      hub.trouble.set(run.id, message);
    }
  }
}

async function advanceRun(hub: HubContext, clock: UptimeClock, id: string): Promise<void> {
  const { runs } = hub;
  for (;;) {
    const run = runs.run(id);
    if (run === null) return;
    clock.tick(); // so that a round that begins now begins with no time on it
    if (run.state === 'proposed' && startIfReady(hub, run)) continue;
    if (run.state !== 'running') return;
    const round = runs.currentRound(id);
    if (round === null) return;
    const decision = decide(hub, run, round, clock.seconds(round));
    if (decision.next === 'wait') return;
    if (decision.next === 'fail') return endRun(hub, run, 'failed', decision.reason);
    if (round.phase === 'collecting') beginClosing(hub, clock, round, decision.cohort);
    else await closeRound(hub, clock, run, round);
    hub.trouble.delete(id);
  }
}

function beginClosing(
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

async function closeRound(
  hub: HubContext,
  clock: UptimeClock,
  run: RunRecord,
  round: RoundRecord,
): Promise<void> {
  const { runs, blobs, store } = hub;
  const plan = planOf(run);
  const cohort = new Set(round.cohort);
  const contributions = runs
    .contributions(run.id, round.number)
    .filter(({ site, state }) => state === 'committed' && cohort.has(site));
  const members = approvals(hub, run.id).length;
  const result = await computeAggregate({ blobs, plan, round, contributions, members });
  if ('lost' in result) {
    await loseUpdate(hub, run, round, result);
    return;
  }
  store.crashPoint('aggregate-written');
  clock.save();
  const { start, loss } = result;
  const sites = approvals(hub, run.id).map(({ site }) => site);
  const entry = finishRound(hub, { run, round, start, loss, sites });
  const { hash, size } = start.base;
  const aggregate = { hash, size };
  announceRound(hub, run, round, loss);
  for (const site of sites) {
    hub.outbox.send(site, {
      type: 'round-closed',
      run: run.id,
      round: round.number,
      aggregate,
      cohort: [...cohort],
      loss,
      ledgerEntry: entry,
    });
  }
  const next = runs.currentRound(run.id);
  if (next !== null && next.phase === 'collecting') {
    const message = roundStart(run, next, 0);
    for (const site of sites) hub.outbox.send(site, message);
  } else announceEnd(hub, run.id, sites);
  await removeUnused(hub);
}

interface Finish {
  readonly run: RunRecord;
  readonly round: RoundRecord;
  readonly start: RoundStart;
  readonly loss: number;
  readonly sites: readonly string[];
}

/** One transaction: the round is closed, and the next one or the end of the run is there. */
function finishRound(
  hub: HubContext,
  { run, round, start, loss, sites }: Finish,
): { index: number; hash: string } {
  const { runs, store, outbox } = hub;
  const { ledger } = store;
  const isLast = round.number + 1 === planOf(run).federation.rounds;
  return store.transition('close-round', () => {
    const entry = ledger.append('aggregate', {
      run: run.id,
      round: round.number,
      hash: start.base.hash,
      size: start.base.size,
      state: start.state,
      cohort: round.cohort,
      loss,
    });
    runs.putBroadcast(run.id, round.number + 1, start);
    const { collecting = 0 } = runs.phaseSeconds(run.id, round.number);
    const seconds = runs.round(run.id, round.number)?.seconds ?? 0;
    runs.putPhaseSeconds(round, 'closing', Math.max(0, seconds - collecting));
    runs.setClosed(round, { aggregate: start.base, loss, ledgerIndex: entry.index });
    for (const site of sites) runs.addTraffic(round, outbox.takeTraffic(site));
    if (isLast) {
      runs.setRunState(run.id, 'completed', '');
      runs.setRunAdapter(run.id, start.base);
      ledger.append('run-end', { run: run.id, state: 'completed', reason: '', adapter: start.base.hash });
    } else {
      const next = { run: run.id, number: round.number + 1, ...start };
      runs.insertRound(next);
      const opened = runs.currentRound(run.id);
      if (opened !== null) ledger.append('round-start', roundStartEntry(roundStart(run, opened, 0)));
    }
    return entry;
  });
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

/** Ends a run before its last round. */
export async function endRun(
  hub: HubContext,
  run: RunRecord,
  state: 'failed' | 'cancelled',
  reason: string,
): Promise<void> {
  const { runs, store, members } = hub;
  store.transition('end-run', () => {
    runs.setRunState(run.id, state, reason);
    store.ledger.append('run-end', { run: run.id, state, reason, adapter: null });
  });
  const present = members.all().filter(({ revoked }) => revoked === null);
  announceEnd(
    hub,
    run.id,
    present.map(({ site }) => site),
  );
  await removeUnused(hub);
}

function announceEnd(hub: HubContext, id: string, sites: readonly string[]): void {
  const run = hub.runs.run(id);
  if (run === null) return;
  const { state, reason } = run;
  hub.log.info({ run: id, state }, 'ended');
  hub.emit({ type: 'ended', run: id, state, reason });
  const message = runEnded(id, state, reason, run.adapter);
  if (message !== null) for (const site of sites) hub.outbox.send(site, message);
}

/** The message that ends a run at a site, or null while it goes on. */
export function runEnded(id: string, state: RunRecord['state'], reason: string, adapter: Published | null) {
  if (state === 'proposed' || state === 'running') return null;
  return { type: 'run-ended' as const, run: id, state, reason, adapter };
}
