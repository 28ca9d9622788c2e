/** @file What a site says of itself and its federations, in words that the command line, the window and the log share. */

import { fingerprint, publicIdentity } from '../federation/identity.ts';
import { openPlan } from '../federation/plan.ts';
import { noTraffic, TRAFFIC_KINDS } from '../federation/traffic.ts';
import type { Traffic } from '../federation/traffic.ts';
import type { Agent } from './agent.ts';
import { awaitsAmendment } from './amendments.ts';
import type { FederationContext, SiteContext } from './context.ts';
import type { Phase } from './rounds.ts';
import type { SiteRun } from './tables.ts';

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

/** How the site stands with one federation. */
export type FederationStatus = {
  readonly state: SiteState;
  /** What it is called here, and its number, which names of its runs' folders may end with. */
  readonly federation: string | null;
  readonly number: number | null;
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
  /** Bytes sent to the hub, or all hubs, since this site exists, and what they were. */
  readonly leftThisMachine: { readonly bytes: number; readonly kinds: Traffic };
  /** Rehearsals that wait for a person, oldest first. */
  readonly rehearsals: readonly string[];
  readonly runs: readonly {
    readonly id: string;
    readonly federation: string;
    readonly state: SiteRun['state'];
    readonly planHash: string;
    readonly reason: string;
  }[];
};

/** The whole site: as it stands with the federation that matters most now, and with each. */
export type SiteStatus = FederationStatus & { readonly federations: readonly FederationStatus[] };

/** What matters most comes first. */
const PRECEDENCE: readonly SiteState[] = [
  'working',
  'awaiting-approval',
  'ready',
  'paused',
  'revoked',
  'offline',
  'idle',
  'stopped',
  'not-joined',
];

export interface StatusOptions {
  readonly context: SiteContext;
  /** Null while the site does not run. */
  readonly agents: ReadonlyMap<number, Agent> | null;
  /** The federation for which the machine computes now. */
  readonly computing?: string | null;
  /** The status with this one alone; with all of them without it. */
  readonly federation?: FederationContext;
}

/** The status now. */
export function siteStatus({ context, agents, computing = null, federation }: StatusOptions): SiteStatus {
  const asked = federation === undefined ? [...context.federations.values()] : [federation];
  const federations = asked.map((each) =>
    federationStatus(each, { agent: agents?.get(each.number) ?? null, computing }),
  );
  const [first = NOT_JOINED] = federations.toSorted(
    (one, other) => PRECEDENCE.indexOf(one.state) - PRECEDENCE.indexOf(other.state),
  );
  if (federation !== undefined) return { ...first, federations };
  const unwritten = [...(agents?.values() ?? [])].map((agent) => agent.unwrittenTraffic());
  return {
    ...first,
    leftThisMachine: left([context.store.sent(), ...unwritten]),
    rehearsals: federations.flatMap(({ rehearsals }) => rehearsals),
    runs: federations.flatMap(({ runs }) => runs),
    federations,
  };
}

const NOT_JOINED: FederationStatus = {
  ...{ state: 'not-joined', reason: 'The site belongs to no federation yet.' },
  ...{ federation: null, number: null, site: null, hub: null, uncheckedCertificate: null, roster: null },
  ...{ hubFingerprint: null, siteFingerprint: null },
  ...{ run: null, round: null, rounds: null, phase: null, step: null, steps: null, loss: null },
  ...{ leftThisMachine: left([]), rehearsals: [], runs: [] },
};

function federationStatus(
  { number, name, store, identity }: FederationContext,
  { agent, computing }: { agent: Agent | null; computing: string | null },
): FederationStatus {
  const membership = store.membership();
  const runs = store.runs();
  const activity = agent?.activity() ?? null;
  const open =
    runs.find(({ state }) => state === 'proposed' || state === 'approved') ??
    runs.find(({ run }) => store.stopped(run) === 'paused');
  const before = activity !== null && COMPUTED.has(activity.phase) && computing !== name ? computing : null;
  return {
    ...stateOf(agent, open, before),
    ...{ federation: name, number },
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
    leftThisMachine: left([store.sent(), agent?.unwrittenTraffic() ?? noTraffic()]),
    rehearsals: (agent?.rehearsals() ?? []).map(({ rehearsal }) => rehearsal),
    runs: runs.map(({ run, state, plan_hash, reason }) => {
      return { id: run, federation: name, state, planHash: plan_hash, reason };
    }),
  };
}

/** Phases for which the machine computes, one federation at a time. */
const COMPUTED: ReadonlySet<Phase> = new Set<Phase>(['training', 'scoring', 'rehearsing']);

function stateOf(
  agent: Agent | null,
  open: SiteRun | undefined,
  before: string | null,
): { readonly state: SiteState; readonly reason: string } {
  if (agent === null) return { state: 'stopped', reason: 'The site is not running.' };
  const { connected, reason } = agent.connection();
  const trouble = agent.trouble()?.message ?? '';
  if (reason?.code === 'site.revoked') return { state: 'revoked', reason: reason.message };
  if (!connected) return { state: 'offline', reason: reason?.message ?? 'Connecting to the hub.' };
  if (agent.activity() !== null) {
    return {
      state: 'working',
      reason: before === null ? trouble : `This machine computes for ${before} first.`,
    };
  }
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

function left(parts: readonly Traffic[]): FederationStatus['leftThisMachine'] {
  const kinds = noTraffic();
  for (const kind of TRAFFIC_KINDS) for (const part of parts) kinds[kind] += part[kind];
  return { bytes: Object.values(kinds).reduce((sum, bytes) => sum + bytes, 0), kinds };
}
