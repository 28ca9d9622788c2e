/** @file A round as its table of phases looks at it, from what the database and the connections say. */

import { inOrderOfLots } from '../federation/cohort.ts';
import { hasMissedLast, isAway } from './attendance.ts';
import type { HubContext } from './context.ts';
import { deadlineOf, planOf } from './proposals.ts';
import type { RoundRecord, RunRecord } from './records.ts';
import { PHASES } from './rounds.ts';
import type { Decision, RoundSite, RoundView } from './rounds.ts';
import { hasStoppedEarly } from './scoring.ts';

/** What the current round of a running run waits for or does next. */
export function decide(hub: HubContext, run: RunRecord, round: RoundRecord, seconds: number): Decision {
  return PHASES[round.phase].decide(viewOf(hub, run, round, seconds));
}

/** The round as its table of phases looks at it. */
export function viewOf(hub: HubContext, run: RunRecord, round: RoundRecord, seconds: number): RoundView {
  const { runs } = hub;
  const plan = planOf(run);
  // With many sites this is most of what the hub does, so no more is read than is asked.
  const sent = new Map(runs.contributionStates(run.id, round.number).map(({ site, state }) => [site, state]));
  const approved = runs.approvedSites(run.id);
  const declines = runs.declines(run.id);
  const { selected } = round;
  const names = new Set(selected === null ? approved : approved.filter((site) => selected.includes(site)));
  // An update that was committed counts, also of a site that was revoked or has withdrawn since, or was not drawn.
  for (const [site, state] of sent) if (state === 'committed') names.add(site);
  const { minSites } = plan.federation;
  const isScoring = round.phase === 'scoring';
  return {
    sites: [...names].map((name) => ({ name, state: stateOf(hub, round, name, sent.get(name)) })),
    spare:
      selected === null
        ? []
        : inOrderOfLots(
            approved.filter((site) => !names.has(site)),
            plan.seed,
            round.number,
          ),
    declined: declines.map(({ site, reason }) => `${site}: ${reason ?? 'it declined'}`),
    mayReturn: declines.some(({ code }) => code === 'site.paused'),
    minSites,
    seconds: isScoring ? seconds - (round.scoringFrom ?? 0) : seconds,
    deadline: deadlineOf(run),
    unscored: unscored(hub, round, approved),
    after: after(hub, run, round),
    paused: run.paused,
  };
}

function stateOf(
  hub: HubContext,
  round: RoundRecord,
  site: string,
  sent: RoundSite['state'] | undefined,
): RoundSite['state'] {
  if (sent !== undefined) return sent;
  return isAway(hub, site) && hasMissedLast(hub, round, site) ? 'absent' : 'awaited';
}

function unscored({ runs }: HubContext, round: RoundRecord, approved: readonly string[]): string[] {
  if (round.scorers === null) return [];
  const scored = new Set(runs.scores(round.run, round.number).map(({ site }) => site));
  return round.scorers.filter((site) => approved.includes(site) && !scored.has(site));
}

/** What follows a round once it is closed. */
function after(hub: HubContext, run: RunRecord, round: RoundRecord): RoundView['after'] {
  const plan = planOf(run);
  if (hasStoppedEarly(hub, run, round)) return 'end';
  if (round.number + 1 < plan.federation.rounds) return 'round';
  if (run.amendment === null) return 'end';
  const answers = hub.runs.amendmentAnswers(run.id);
  const members = new Set(hub.runs.approvedSites(run.id));
  const yes = answers.filter(({ site, approved }) => approved && members.has(site));
  const { minSites } = plan.federation;
  if (yes.length >= minSites) return 'round';
  const no = answers.filter(({ site, approved }) => !approved && members.has(site));
  // Where too few are left that could still approve, the run ends with what it has.
  return members.size - no.length < minSites ? 'end' : 'approvals';
}
