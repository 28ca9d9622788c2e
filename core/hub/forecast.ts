/** @file What a rehearsal has shown, site by site, and what the run would take: time of its rounds and bytes. */

import { cohortSize } from '../federation/cohort.ts';
import { bytesOfEnd, bytesOfRound } from '../federation/round-bytes.ts';
import type { SiteBytes } from '../federation/round-bytes.ts';
import { machine } from '../machine.ts';
import { trainingMemory } from '../model/requirements.ts';
import type { HubContext } from './context.ts';
import { requiredApprovals } from './proposals.ts';
import type { Rehearsal } from './rehearsals.ts';

/** A site answers at once that it has heard; one of a version that knows no rehearsals never does. */
const SILENT_MILLISECONDS = 10_000;

/** What is known of a site. `silent`: it is there and has not answered. */
export interface RehearsedSite {
  readonly name: string;
  readonly state: 'measured' | 'refused' | 'measuring' | 'waiting' | 'asked' | 'silent' | 'away';
  readonly reason: string;
  /** Whether its rows are what the data contract says, and which parts are not; null while that is not known. */
  readonly contract: { readonly fits: boolean; readonly parts: readonly string[] } | null;
  readonly examples: number | null;
  /** Peak of its training process in bytes beside what it may take. */
  readonly memory: { readonly bytes: number; readonly limit: number; readonly fits: boolean } | null;
  readonly steps: number | null;
  readonly secondsPerStep: number | null;
  readonly tokensPerSecond: number | null;
  /** Training of a round; null where it was not measured. */
  readonly secondsPerRound: number | null;
  readonly precision: string | null;
  readonly device: string | null;
}

export interface Forecast {
  /** Sites that were measured and fit, and how many have to approve. */
  readonly sites: number;
  readonly needed: number;
  /** Of the slowest site that was measured, without the time of transfers; null while none was. */
  readonly secondsPerRound: number | null;
  readonly seconds: number | null;
  /** Seconds that the plan gives a round, and the sites that would need longer. */
  readonly deadline: number;
  readonly tooSlow: readonly string[];
  /** Bytes of tensors in a round in which everything that is trained travels. */
  readonly bytesPerRound: { readonly perSite: SiteBytes; readonly all: number };
  /** Of the whole run. */
  readonly bytes: SiteBytes & { readonly all: number };
  /** A formula's estimate of a training's memory with float32 weights, for sites that were not measured. */
  readonly memoryEstimate: number;
}

export interface RehearsalReport {
  readonly rehearsal: string;
  readonly planHash: string;
  /** Whether no site is still measuring or about to answer. Those that wait for a person may take their time. */
  readonly settled: boolean;
  readonly sites: readonly RehearsedSite[];
  readonly forecast: Forecast;
}

export function reportOf(hub: HubContext, rehearsal: Rehearsal): RehearsalReport {
  const members = hub.members.all().filter(({ revoked }) => revoked === null);
  const sites = members.map(({ site }) => siteOf(hub, rehearsal, site));
  return {
    rehearsal: rehearsal.id,
    planHash: rehearsal.planHash,
    settled: sites.every(({ state }) => state !== 'measuring' && state !== 'asked'),
    sites,
    forecast: forecastOf(rehearsal, sites),
  };
}

const UNMEASURED = {
  ...{ contract: null, examples: null, memory: null, steps: null, secondsPerStep: null },
  ...{ tokensPerSecond: null, secondsPerRound: null, precision: null, device: null },
};

function siteOf(hub: HubContext, { answers, asked }: Rehearsal, name: string): RehearsedSite {
  const answer = answers.get(name);
  const { connected } = hub.outbox.presence(name);
  if (!connected && answer?.state !== 'measured' && answer?.state !== 'refused') {
    return { name, state: 'away', reason: 'It is not connected.', ...UNMEASURED };
  }
  if (answer === undefined) {
    const waited = machine.now() - (asked.get(name) ?? -Infinity);
    if (waited < SILENT_MILLISECONDS) return { name, state: 'asked', reason: '', ...UNMEASURED };
    const reason = 'It does not answer; its version may not know rehearsals.';
    return { name, state: 'silent', reason, ...UNMEASURED };
  }
  const { state, reason, parts, measured } = answer;
  const contract = parts.length > 0 ? { fits: false, parts } : measured ? { fits: true, parts } : null;
  if (measured === undefined) return { name, state, reason, ...UNMEASURED, contract };
  const { memory, memoryLimit: limit, secondsPerStep, steps, ...others } = measured;
  return {
    ...{ name, state, reason, contract, ...others, steps, secondsPerStep },
    memory: { bytes: memory, limit, fits: memory <= limit },
    secondsPerRound: secondsPerStep * steps,
  };
}

function forecastOf({ plan, configuration }: Rehearsal, sites: readonly RehearsedSite[]): Forecast {
  const { rounds, cohort, minSites, deadline } = plan.federation;
  const able = sites.filter(({ memory }) => memory?.fits === true);
  const times = able.flatMap(({ name, secondsPerRound: seconds }) =>
    seconds === null ? [] : [{ name, seconds }],
  );
  const secondsPerRound = times.length === 0 ? null : Math.max(...times.map(({ seconds }) => seconds));
  const drawn = cohort === undefined ? able.length : cohortSize(cohort, able.length, minSites);
  // Where A and B move in turns, rounds repeat in twos after the first, which fetches the base whole.
  const kinds = [0, 1, 2].map((round) => bytesOfRound(plan, configuration, round));
  const perRound = Array.from({ length: rounds }, (_, round) => kinds[round === 0 ? 0 : 2 - (round % 2)]);
  const up = drawn * perRound.reduce((sum, bytes) => sum + bytes.up, 0);
  const fetched = drawn * perRound.reduce((sum, bytes) => sum + bytes.down, 0);
  const down = fetched + able.length * bytesOfEnd(plan, configuration);
  const precision = plan.training.precision === 'int4' ? 'int4' : 'f32';
  const shape = { length: plan.training.maxLength, rank: plan.adapter.rank };
  const usual = perRound[Math.min(1, rounds - 1)];
  return {
    ...{ sites: able.length, needed: requiredApprovals(plan), deadline },
    ...{ secondsPerRound, seconds: secondsPerRound && secondsPerRound * rounds },
    tooSlow: times.flatMap(({ name, seconds }) => (seconds > deadline ? [name] : [])),
    bytesPerRound: { perSite: usual, all: drawn * (usual.up + usual.down) },
    bytes: { up, down, all: up + down },
    memoryEstimate: Math.round(trainingMemory(configuration, precision, shape)),
  };
}
