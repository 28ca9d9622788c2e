/**
 * @file The phases of a round as one table: what is awaited, when it is enough, what leaving the phase writes, and
 * what a site that drops out does to it. Pure: it looks at a round and says what comes next.
 */

import type { MessageType } from '../federation/messages.ts';
import type { RoundPhase } from './records.ts';
import type { Transition } from './store.ts';

/** A site that the round asks. Revoked, excluded and declining sites are no part of it. */
export interface RoundSite {
  readonly name: string;
  /** absent: it let the last round pass and is not here; the round takes its update but does not wait for it. */
  readonly state: 'awaited' | 'absent' | 'committed' | 'refused';
}

export interface RoundView {
  readonly sites: readonly RoundSite[];
  /** Sites of the run that the round does not ask, in the order in which they would be called upon. */
  readonly spare: readonly string[];
  /** Why the sites that declined did, one sentence each. */
  readonly declined: readonly string[];
  /** Whether one of those has only paused, and may be back at any time. */
  readonly mayReturn: boolean;
  readonly minSites: number;
  /** Seconds of the hub's uptime so far, and at which the deadline is. */
  readonly seconds: number;
  readonly deadline: number;
  /** Sites whose scores of the aggregate are missing. */
  readonly unscored: readonly string[];
  /** What follows the round: another one, the end, or nothing before sites have approved the amended plan. */
  readonly after: 'round' | 'end' | 'approvals';
  /** Why the run is paused; null while it goes on. */
  readonly paused: string | null;
}

export type Decision =
  | { readonly next: 'wait'; readonly reason: string }
  | { readonly next: 'call'; readonly sites: readonly string[]; readonly reason: string }
  | { readonly next: 'close'; readonly cohort: readonly string[] }
  | { readonly next: 'go-on' }
  | { readonly next: 'fail'; readonly reason: string };

interface PhaseRow {
  /** The message that the hub waits for, if any. */
  readonly awaits: MessageType | null;
  /** The phase that follows; after the last one another round or the end of the run. */
  readonly then: RoundPhase | null;
  /** The transition that leaves the phase. */
  readonly transition: Transition;
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
      'it is awaited until the deadline; then the round closes without it if enough others have sent theirs, and ' +
      'calls upon sites that were not drawn if not; the next round does not wait for it unless it is back',
    decide: decideCollecting,
  },
  // The cohort is fixed; the aggregate is computed from what lies on disk, again after a crash.
  closing: {
    awaits: null,
    then: 'scoring',
    transition: 'close-round',
    dropOut: 'nothing: its update is here or does not count',
    decide: ({ sites }) => ({ next: 'close', cohort: committed(sites) }),
  },
  // Only where the plan has sites score the aggregate on rows they hold out.
  scoring: {
    awaits: 'score',
    then: 'closed',
    transition: 'end-scoring',
    dropOut: 'its score is awaited until the deadline, which is counted anew; then the others’ count',
    decide: decideScoring,
  },
  closed: {
    awaits: null,
    then: null,
    transition: 'open-round',
    dropOut: 'it fetches the aggregate when it is back',
    decide: decideClosed,
  },
};

function committed(sites: readonly RoundSite[]): string[] {
  return named(sites, 'committed');
}

function named(sites: readonly RoundSite[], wanted: RoundSite['state']): string[] {
  return sites.flatMap(({ name, state }) => (state === wanted ? [name] : [])).sort();
}

/**
 * Closes when every site that can still send has sent, or at the deadline with `minSites`; past the deadline, as
 * soon as there are `minSites`. Fails when too few sites are left that could ever send: at the deadline, for a
 * refused site may send a better update and one that declined may change its mind; at once where no site is left and none has
 * only paused.
 */
function decideCollecting(view: RoundView): Decision {
  const { sites, spare, declined, mayReturn, minSites, seconds, deadline } = view;
  const cohort = committed(sites);
  const awaited = named(sites, 'awaited');
  const absent = named(sites, 'absent');
  const left = cohort.length + awaited.length + absent.length;
  const enough = cohort.length >= minSites;
  const overdue = seconds >= deadline;
  if (enough && (awaited.length === 0 || overdue)) return { next: 'close', cohort };
  if (sites.length === 0 && spare.length === 0 && (!mayReturn || overdue)) {
    return { next: 'fail', reason: ['no site takes part any more', ...declined].join('; ') };
  }
  if (spare.length > 0 && (left < minSites || overdue)) {
    const reason = overdue
      ? 'the deadline is past with too few updates'
      : 'too few of the drawn sites are left';
    return { next: 'call', sites: overdue ? spare : spare.slice(0, minSites - left), reason };
  }
  if (overdue && left < minSites) {
    return {
      next: 'fail',
      reason: `${minSites} sites are needed and ${left} are left that can send an update`,
    };
  }
  const names = [...awaited, ...absent].join(', ');
  if (names === '') return { next: 'wait', reason: `waiting until the deadline for ${minSites} sites` };
  return {
    next: 'wait',
    reason: overdue ? `past the deadline, still waiting for ${names}` : `waiting for ${names}`,
  };
}

function decideScoring({ unscored, seconds, deadline }: RoundView): Decision {
  if (unscored.length === 0 || seconds >= deadline) return { next: 'go-on' };
  return { next: 'wait', reason: `waiting for the scores of ${unscored.join(', ')}` };
}

function decideClosed({ after, paused }: RoundView): Decision {
  if (after === 'end') return { next: 'go-on' };
  if (paused !== null) return { next: 'wait', reason: `paused: ${paused}` };
  if (after === 'round') return { next: 'go-on' };
  return { next: 'wait', reason: 'waiting for sites to approve the plan with more rounds' };
}
