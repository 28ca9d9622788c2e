/** @file What a site says of itself, in words that the command line, the window and the log share. */

import { fingerprint, publicIdentity } from '../federation/identity.ts';
import { openPlan } from '../federation/plan.ts';
import { noTraffic, TRAFFIC_KINDS } from '../federation/traffic.ts';
import type { Traffic } from '../federation/traffic.ts';
import type { Agent } from './agent.ts';
import { awaitsAmendment } from './amendments.ts';
import type { SiteContext } from './context.ts';
import type { SiteRun } from './store.ts';

/**
 * `stopped`: no process runs. `idle`: connected, nothing to do. `awaiting-approval`: a person has to decide. `paused`: a
 * person has stopped the run and may let it go on.
 */
export type SiteState =
  | 'not-joined'
  | 'stopped'
  | 'offline'
  | 'revoked'
  | 'idle'
  | 'awaiting-approval'
  | 'ready'
  | 'working'
  | 'paused';

export type SiteStatus = {
  readonly state: SiteState;
  readonly federation: string | null;
  readonly site: string | null;
  /** Address of the hub while connected. */
  readonly hub: string | null;
  /** Why the certificate of that address is not believed, where the policy does without it; null when it is. */
  readonly uncheckedCertificate: string | null;
  /** Of the pinned hub's keys and of this site's own, to compare with what the other side shows; null before a join. */
  readonly hubFingerprint: string | null;
  readonly siteFingerprint: string | null;
  /** Version of the signed members' list that was seen last. */
  readonly roster: number | null;
  readonly run: string | null;
  /** From 0. */
  readonly round: number | null;
  readonly rounds: number | null;
  /** `fetching`, `training`, `sending`, `waiting` (for the hub's acknowledgement), `scoring` or `rehearsing`. */
  readonly phase: string | null;
  readonly step: number | null;
  readonly steps: number | null;
  readonly loss: number | null;
  /** Why it is not further, as a sentence; empty when all is well. */
  readonly reason: string;
  /** Bytes sent to the hub since this site exists, and what they were. */
  readonly leftThisMachine: { readonly bytes: number; readonly kinds: Traffic };
  readonly runs: readonly {
    readonly id: string;
    readonly state: SiteRun['state'];
    readonly planHash: string;
    readonly reason: string;
  }[];
};

/** The status now; `agent` is null while the site does not run. */
export function siteStatus({ store, identity }: SiteContext, agent: Agent | null): SiteStatus {
  const membership = store.membership();
  const runs = store.runs();
  const activity = agent?.activity() ?? null;
  const open =
    runs.find(({ state }) => state === 'proposed' || state === 'approved') ??
    runs.find(({ run }) => store.stopped(run) === 'paused');
  return {
    ...stateOf(membership !== null, agent, open),
    federation: membership?.federation ?? null,
    site: membership?.site ?? null,
    hub: agent?.connection().url ?? null,
    uncheckedCertificate: agent?.connection().unchecked ?? null,
    hubFingerprint: membership && fingerprint(membership),
    siteFingerprint: membership && fingerprint(publicIdentity(identity)),
    roster: membership?.roster_version ?? null,
    run: activity?.run ?? open?.run ?? runs.at(0)?.run ?? null,
    round: activity?.round ?? null,
    rounds: activity?.rounds ?? null,
    phase: activity?.phase ?? null,
    step: activity?.step ?? null,
    steps: activity?.steps ?? null,
    loss: activity?.loss ?? null,
    leftThisMachine: left(store.sent(), agent?.unwrittenTraffic() ?? noTraffic()),
    runs: runs.map(({ run, state, plan_hash, reason }) => ({ id: run, state, planHash: plan_hash, reason })),
  };
}

function stateOf(
  joined: boolean,
  agent: Agent | null,
  open: SiteRun | undefined,
): { readonly state: SiteState; readonly reason: string } {
  if (!joined) return { state: 'not-joined', reason: 'The site belongs to no federation yet.' };
  if (agent === null) return { state: 'stopped', reason: 'The site is not running.' };
  const { connected, reason } = agent.connection();
  const trouble = agent.trouble()?.message ?? '';
  if (reason?.code === 'site.revoked') return { state: 'revoked', reason: reason.message };
  if (!connected) return { state: 'offline', reason: reason?.message ?? 'Connecting to the hub.' };
  if (agent.activity() !== null) return { state: 'working', reason: trouble };
  if (open?.state === 'proposed') {
    return { state: 'awaiting-approval', reason: `The run ${open.run} waits for approval at this site.` };
  }
  const rehearsal = agent.rehearsals().at(0);
  if (rehearsal !== undefined) {
    const what = `The rehearsal ${rehearsal.rehearsal} of “${rehearsal.plan.name}” waits for approval at this site.`;
    return { state: 'awaiting-approval', reason: what };
  }
  if (open && awaitsAmendment(open)) {
    const { rounds } = openPlan(open.amendment ?? '', open.amendment_hash ?? '').federation;
    const reason = `The run ${open.run} is to be extended to ${rounds} rounds, which waits for approval at this site.`;
    return { state: 'awaiting-approval', reason };
  }
  if (open?.state === 'approved') {
    return {
      state: 'ready',
      reason:
        trouble ||
        agent.notice(open.run) ||
        `The run ${open.run} is approved; the hub and other sites are awaited.`,
    };
  }
  if (open?.state === 'declined') return { state: 'paused', reason: open.reason };
  return { state: 'idle', reason: trouble };
}

function left(written: Traffic, unwritten: Traffic): SiteStatus['leftThisMachine'] {
  const kinds = noTraffic();
  for (const kind of TRAFFIC_KINDS) kinds[kind] = written[kind] + unwritten[kind];
  return { bytes: Object.values(kinds).reduce((sum, bytes) => sum + bytes, 0), kinds };
}
