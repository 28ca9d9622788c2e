/**
 * @file The phases of a round as one table: what is awaited, when it is enough, what leaving the phase writes, and
 * what a site that drops out does to it. Pure: it looks at a round and says what comes next.
 */

import type { MessageType } from '../federation/messages.ts';
import type { RoundPhase } from './records.ts';
import type { Transition } from './store.ts';

/** A site of the run as the round sees it. Revoked sites and those that declined are no part of it. */
export interface RoundSite {
  readonly name: string;
  readonly state: 'awaited' | 'committed' | 'refused';
}

export interface RoundView {
  readonly sites: readonly RoundSite[];
  readonly minSites: number;
  /** Seconds of the hub's uptime so far, and at which the deadline is. */
  readonly seconds: number;
  readonly deadline: number;
}

export type Decision =
  | { readonly next: 'wait'; readonly reason: string }
  | { readonly next: 'close'; readonly cohort: readonly string[] }
  | { readonly next: 'fail'; readonly reason: string };

interface PhaseRow {
  /** The message that the hub waits for, if any. */
  readonly awaits: MessageType | null;
  /** The phase that follows, and the transition that writes it. */
  readonly then: RoundPhase | null;
  readonly transition: Transition | null;
  /** What it does when a site disappears. */
  readonly dropOut: string;
  readonly decide: (view: RoundView) => Decision;
}

export const PHASES: Readonly<Record<RoundPhase, PhaseRow>> = {
  collecting: {
    awaits: 'update',
    then: 'closing',
    transition: 'begin-closing',
    dropOut:
      'it is awaited until the deadline; then the round closes without it if enough others have sent theirs',
    decide: decideCollecting,
  },
  // The cohort is fixed; the aggregate is computed from what lies on disk, again after a crash.
  closing: {
    awaits: null,
    then: 'closed',
    transition: 'close-round',
    dropOut: 'nothing: its update is here or does not count',
    decide: ({ sites }) => ({ next: 'close', cohort: committed(sites) }),
  },
  closed: {
    awaits: null,
    then: null,
    transition: null,
    dropOut: 'it fetches the aggregate when it is back',
    decide: () => ({ next: 'wait', reason: 'closed' }),
  },
};

function committed(sites: readonly RoundSite[]): string[] {
  return sites.flatMap(({ name, state }) => (state === 'committed' ? [name] : [])).sort();
}

/**
 * Closes when every site that can still send has sent, or at the deadline with `minSites`; past the deadline, as
 * soon as there are `minSites`. Fails only when too few sites are left that could ever send.
 */
function decideCollecting({ sites, minSites, seconds, deadline }: RoundView): Decision {
  const cohort = committed(sites);
  const awaited = sites.filter(({ state }) => state === 'awaited').map(({ name }) => name);
  const enough = cohort.length >= minSites;
  const overdue = seconds >= deadline;
  if (enough && (awaited.length === 0 || overdue)) return { next: 'close', cohort };
  if (overdue && cohort.length + awaited.length < minSites) {
    const left = cohort.length + awaited.length;
    return {
      next: 'fail',
      reason: `${minSites} sites are needed and ${left} are left that can send an update`,
    };
  }
  if (awaited.length === 0)
    return { next: 'wait', reason: `waiting until the deadline for ${minSites} sites` };
  const names = awaited.sort().join(', ');
  return {
    next: 'wait',
    reason: overdue ? `past the deadline, still waiting for ${names}` : `waiting for ${names}`,
  };
}
