/** @file Moves runs on: looks at every open run and takes each step that is due. */

import { toTributaryError } from '../errors.ts';
import type { HubContext } from './context.ts';
import { hopeless, isReady } from './proposals.ts';
import type { RoundRecord, RunRecord } from './records.ts';
import { removeUnused } from './retention.ts';
import type { Decision } from './rounds.ts';
import {
  beginClosing,
  callUp,
  closeRound,
  completeRun,
  endRun,
  endScoring,
  openNext,
  startRun,
} from './steps.ts';
import type { UptimeClock } from './uptime.ts';
import { decide, viewOf } from './view.ts';

/** Takes every step that is due. Call it in turn, after anything has changed and once a second. */
export async function advance(hub: HubContext, clock: UptimeClock): Promise<void> {
  for (const run of hub.runs.runs()) {
    try {
      await advanceRun(hub, clock, run.id);
      hub.trouble.delete(run.id);
    } catch (thrown) {
      const { code, message } = toTributaryError(thrown);
      // It is tried again every second; once is enough to say why it fails.
      if (hub.trouble.get(run.id) === message) continue;
      hub.log.error({ run: run.id, code }, `The run cannot go on: ${message}`);
      hub.trouble.set(run.id, message);
    }
  }
}

async function advanceRun(hub: HubContext, clock: UptimeClock, id: string): Promise<void> {
  let steps = 0;
  try {
    while (await takeStep(hub, clock, id)) steps += 1;
  } finally {
    // Once the sites have their next work, for they need not wait for files to be deleted; and where a step has failed,
    // for it may have been for want of space.
    if (steps > 0) await removeUnused(hub);
  }
}

/** Takes a step that is due; returns whether another one may be. */
async function takeStep(hub: HubContext, clock: UptimeClock, id: string): Promise<boolean> {
  const { runs } = hub;
  const run = runs.run(id);
  if (run === null) return false;
  clock.tick(); // so that a round that begins now begins with no time on it
  if (run.state === 'proposed') {
    const reason = hopeless(hub, run);
    if (reason !== null) await endRun(hub, run, { state: 'failed', reason });
    else if (isReady(hub, run)) startRun(hub, run);
    return reason === null && runs.run(id)?.state === 'running';
  }
  const round = run.state === 'running' ? runs.currentRound(id) : null;
  if (round === null) return false;
  const decision = decide(hub, run, round, clock.seconds(round));
  if (decision.next === 'wait') return false;
  await take(hub, clock, { run, round, decision });
  return decision.next !== 'fail';
}

interface Step {
  readonly run: RunRecord;
  readonly round: RoundRecord;
  readonly decision: Exclude<Decision, { next: 'wait' }>;
}

async function take(hub: HubContext, clock: UptimeClock, { run, round, decision }: Step): Promise<void> {
  const seconds = clock.seconds(round);
  switch (decision.next) {
    case 'fail':
      return endRun(hub, run, { state: 'failed', reason: decision.reason });
    case 'call':
      return callUp(hub, run, round, { ...decision, seconds });
    case 'close':
      if (round.phase === 'collecting') return beginClosing(hub, clock, round, decision.cohort);
      return closeRound(hub, clock, run, round);
    case 'go-on':
      if (round.phase === 'scoring') return endScoring(hub, clock, run, round);
      if (viewOf(hub, run, round, seconds).after === 'end') return completeRun(hub, run, round);
      return openNext(hub, run, round);
  }
}
