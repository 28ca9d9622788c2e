/** @file Who is there: sites that are away, that let rounds pass, or whose updates are refused again and again. */

import type { HubContext } from './context.ts';
import type { RoundRecord } from './records.ts';

/** How long a site that let a round pass may be away before the next round goes on without it, seconds. */
const GRACE_SECONDS = 30;
/** Sites need a moment to come back to a hub that has just started. */
const RETURN_SECONDS = 60;
/** Rounds that are looked back upon. */
const LOOK_BACK = 50;
/** A site whose updates were refused in so many rounds, without one that counted between them, is excluded. */
export const REFUSALS_UNTIL_EXCLUSION = 3;

/** Whether a site has been gone for longer than a network that breaks now and then explains. */
export function isAway({ outbox, now, started }: HubContext, site: string): boolean {
  const { connected, since } = outbox.presence(site);
  if (connected) return false;
  return since === null ? now() - started > RETURN_SECONDS : now() - since > GRACE_SECONDS;
}

/** Whether the last round before this one that asked the site had nothing from it. */
export function hasMissedLast(
  { runs }: Pick<HubContext, 'runs'>,
  { run, number }: Pick<RoundRecord, 'run' | 'number'>,
  site: string,
): boolean {
  for (let earlier = number - 1; earlier >= Math.max(0, number - LOOK_BACK); earlier--) {
    if (runs.contribution(run, earlier, site) !== null) return false;
    const selected = runs.round(run, earlier)?.selected ?? null;
    if (selected === null || selected.includes(site)) return true;
  }
  return false;
}

/** Whether this round's refusal is the one too many. */
export function isRefusedTooOften(
  { runs }: Pick<HubContext, 'runs'>,
  { run, number }: Pick<RoundRecord, 'run' | 'number'>,
  site: string,
): boolean {
  let refusals = 0;
  for (let round = number; round >= Math.max(0, number - LOOK_BACK); round--) {
    const sent = runs.contribution(run, round, site);
    if (sent?.state === 'committed') return false;
    if (sent?.state === 'refused') refusals += 1;
    if (refusals >= REFUSALS_UNTIL_EXCLUSION) return true;
  }
  return false;
}
