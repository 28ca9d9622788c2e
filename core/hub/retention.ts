/** @file Which blobs the hub still needs, and which of them sites may fetch. */

import type { Published } from '../federation/broadcast.ts';
import type { HubContext } from './context.ts';
import { planOf } from './proposals.ts';
import type { RunRecord } from './records.ts';
import { bestOf } from './scoring.ts';

/** Aggregates of so many rounds stay for sites that come back late. */
const KEPT_ROUNDS = 3;

/**
 * Hashes that a site of the run may fetch: the base of the round with its control variate, what round 0 started from
 * (a reference while pairs are trained on), recent aggregates, the final adapter.
 */
export function publishedBlobs({ runs }: Pick<HubContext, 'runs'>, run: RunRecord): string[] {
  const best = bestAggregate({ runs }, run);
  if (run.adapter !== null) return [...filesOf(run.adapter), ...best];
  if (run.state !== 'running' && run.state !== 'proposed') return [];
  const current = runs.currentRound(run.id);
  if (current === null) return [];
  const { start } = planOf(run).adapter;
  const hashes = [
    ...filesOf(current.base),
    ...filesOf(current.control),
    ...best,
    ...(start ? [start.hash] : []),
  ];
  // What the next round will begin with is there before it opens.
  hashes.push(...runs.broadcastFiles(run.id, current.number + 1));
  for (let number = current.number; number >= Math.max(0, current.number - KEPT_ROUNDS); number--) {
    const aggregate = runs.round(run.id, number)?.aggregate;
    if (aggregate) hashes.push(aggregate.hash);
  }
  return hashes;
}

function filesOf(published: Published | null): string[] {
  if (published === null) return [];
  return [published.hash, ...(published.delta ? [published.delta.hash] : [])];
}

/** The aggregate of the best round, where sites score them. */
function bestAggregate({ runs }: Pick<HubContext, 'runs'>, run: RunRecord): string[] {
  if (planOf(run).evaluation === undefined) return [];
  const best = bestOf({ runs }, run);
  const aggregate = best && runs.round(run.id, best.round)?.aggregate;
  return aggregate ? [aggregate.hash] : [];
}

/** Hashes of everything that a restart would need. */
export function neededBlobs({ runs }: Pick<HubContext, 'runs'>): Set<string> {
  const needed = new Set(runs.offers().map(({ hash }) => hash));
  for (const run of runs.runs()) {
    for (const hash of publishedBlobs({ runs }, run)) needed.add(hash);
    const current = runs.currentRound(run.id);
    if (current === null || (run.state !== 'running' && run.state !== 'proposed')) continue;
    for (const hash of Object.values(current.state)) needed.add(hash);
    for (const hash of Object.values(current.nextState ?? {})) needed.add(hash);
    for (const { state, hash } of runs.contributions(run.id, current.number)) {
      if (state === 'committed') needed.add(hash);
    }
    // What a late update has started from.
    const before = planOf(run).federation.late && runs.round(run.id, current.number - 1);
    if (before) needed.add(before.base.hash);
  }
  return needed;
}

/** Deletes blobs that were superseded. */
export async function removeUnused(hub: Pick<HubContext, 'runs' | 'blobs' | 'log' | 'keep'>): Promise<void> {
  hub.keep.clear();
  for (const hash of neededBlobs(hub)) hub.keep.add(hash);
  const goesOn = hub.runs.runs().some(({ state }) => state === 'running');
  const removed = await hub.blobs.collectGarbage(hub.keep, { goesOn });
  if (removed > 0) hub.log.debug({ removed }, 'removed blobs that nothing needs any more');
}
