/** @file Random faults on a virtual clock: whatever they are, the run completes with what its cohorts give. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawFaults } from '../../core/simulation/faults/faults.ts';
import type { Fault } from '../../core/simulation/faults/faults.ts';
import { foundFederation } from '../../core/simulation/faults/federation.ts';
import type { LiveFederation } from '../../core/simulation/faults/federation.ts';
import { machine } from '../../core/machine.ts';
import { occasionOf, playScenario } from '../../core/simulation/faults/scenario.ts';
import type { Scene } from '../../core/simulation/faults/scenario.ts';
import { readPlan } from '../../core/federation/plan.ts';
import { Random } from '../../core/random.ts';

/** How many seeds are played; the long tests play more. */
const SEEDS = Number(process.env.TRIBUTARY_FAULT_SEEDS ?? (process.env.TRIBUTARY_LONG_TESTS ? 2000 : 200));
const FIRST = Number(process.env.TRIBUTARY_FIRST_FAULT_SEED ?? 1);

const SITES = { east: 10, north: 11, south: 13 };
const SITE_NAMES = Object.keys(SITES);

/** What a plan says otherwise than FedAvg in three rounds with 40 seconds for each. */
interface Choices {
  readonly strategy?: { readonly name: string };
  readonly variant?: string;
  readonly codec?: string;
  readonly deadline?: string;
  readonly late?: { readonly discount: number };
}

function sceneWith({ variant = 'lora', ...federation }: Choices = {}): Scene {
  const plan = {
    name: 'disturbed',
    model: 'pretended',
    seed: 3,
    adapter: { rank: 2, alpha: 4, variant },
    training: { steps: 3, batchSize: 2 },
    federation: { rounds: 3, minSites: 2, deadline: '40s', ...federation },
  };
  return { plan: readPlan(JSON.stringify(plan)), sites: SITES };
}

/** Draws what a plan says of its updates. Every other one takes late ones, most of those with little time. */
function drawScene(seed: number): Scene {
  const random = new Random('scene', seed);
  const one = <T>(items: readonly T[]): T => items[random.below(items.length)];
  const codec = one(['f32', 'f32', 'bf16', 'int8']);
  if (seed % 2 === 0) {
    return sceneWith({
      codec,
      strategy: { name: one(['fedavg', 'fedavgm', 'fedadam']) },
      variant: one(['lora', 'ffa']),
      deadline: one(['8s', '15s', '40s']),
      late: { discount: one([0.1, 0.25, 0.5, 1]) },
    });
  }
  const [name, variant] = one([
    ['fedavg', 'lora'],
    ['fedavg', 'rolora'],
    ['scaffold', 'lora'],
    ['scaffold', 'ffa'],
  ]);
  return sceneWith({ codec, variant, strategy: { name } });
}

let root: string;
let prepared: string;
let played = 0;
/** The adapter of a run in which nothing goes wrong. */
let undisturbed: string | null;
beforeAll(async () => {
  // In memory where there is such a folder: nothing has to outlive the test.
  root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tributary-faults-'));
  prepared = join(root, 'prepared');
  await foundFederation(prepared, SITES);
  undisturbed = (await play([])).adapter;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function play(
  faults: readonly Fault[],
  seed = 0,
  scene = sceneWith(),
  onBegin?: (federation: LiveFederation) => void,
) {
  const folder = join(root, `${(played += 1)}`);
  return playScenario({ scene, prepared, folder, seed, faults, onBegin });
}

it('without faults all sites count in every round', async () => {
  const { violations, cohorts, adapter } = await play([]);
  expect(violations).toEqual([]);
  expect(cohorts).toEqual([SITE_NAMES, SITE_NAMES, SITE_NAMES]);
  expect(adapter).toBe(undisturbed);
  expect(adapter).not.toBeNull();
});

describe('a single fault', () => {
  const at = 4;
  const site = 'north';
  const calm = { at, site, seconds: 5 };
  /** Faults that are over before the deadline of a round: nobody is missed. */
  const brief: readonly Fault[] = [
    { kind: 'hub-stop', at, seconds: 5 },
    { kind: 'site-stop', ...calm },
    { kind: 'partition', ...calm },
    { kind: 'slow-line', ...calm, rate: 1000 },
    { kind: 'delay', ...calm, milliseconds: 500 },
    { kind: 'clock', at, hours: -5000 },
    { kind: 'chunks', at, site, what: 'twice', count: 3 },
    { kind: 'chunks', at, site, what: 'late', count: 3 },
    { kind: 'chunks', at, site, what: 'altered', count: 3 },
    { kind: 'disk-full', at, where: 'hub', seconds: 5 },
    { kind: 'disk-full', at, where: site, seconds: 5 },
    // As the last round closes: the hub tells of the final adapter once.
    { kind: 'disk-full', at: 9.5, where: site, seconds: 8 },
    { kind: 'site-crash', at: 0, site, point: 'keep-update:before', passage: 1, seconds: 2 },
    { kind: 'site-crash', at: 0, site, point: 'update-written', passage: 2, seconds: 2 },
    { kind: 'site-crash', at: 0, site, point: 'save-adapter:after', passage: 1, seconds: 2 },
    { kind: 'hub-crash', at: 0, point: 'begin-closing:after', passage: 1, seconds: 2 },
    { kind: 'hub-crash', at: 0, point: 'commit-update:before', passage: 2, seconds: 2 },
    { kind: 'hub-crash', at: 0, point: 'aggregate-written', passage: 2, seconds: 2 },
  ];
  it.each(brief)('%j leaves no trace in the adapter', async (fault) => {
    const { violations, cohorts, adapter } = await play([fault]);
    expect(violations).toEqual([]);
    expect(cohorts).toEqual([SITE_NAMES, SITE_NAMES, SITE_NAMES]);
    expect(adapter).toBe(undisturbed);
  });

  it.each<Fault>([
    { kind: 'partition', at, site, seconds: 100 },
    { kind: 'slow-site', at, site, seconds: 100, factor: 100 },
    { kind: 'garbage', at, site },
  ])('%j costs rounds of that site and nothing else', async (fault) => {
    const { violations, cohorts } = await play([fault]);
    expect(violations).toEqual([]);
    expect(cohorts.some((cohort) => !cohort.includes(site))).toBe(true);
    for (const cohort of cohorts) expect(cohort).toEqual(expect.arrayContaining(['east', 'south']));
  });
});

it('a site whose update the hub refuses, before it hears that the run has ended, keeps the adapter', async () => {
  const faults: readonly Fault[] = [
    { kind: 'partition', site: 'south', at: 7.241, seconds: 37.549 },
    { kind: 'partition', site: 'north', at: 13.106, seconds: 54.07 },
    { kind: 'partition', site: 'south', at: 14.958, seconds: 44.977 },
  ];
  const scene = sceneWith({ strategy: { name: 'scaffold' }, codec: 'int8', variant: 'ffa' });
  const { violations, cohorts } = await play(faults, 2285, scene);
  expect(violations).toEqual([]);
  expect(cohorts.at(-1)).toEqual(['east', 'north']);
});

describe('a full disk under a database', () => {
  const full = (where: string): Fault => ({ kind: 'disk-full', at: 2, where, seconds: 30 });

  it.each([
    ['hub', 0],
    ['north', 2],
  ] as const)('of %s is told, and nothing is acknowledged or lost', async (where, sent) => {
    const told: string[] = [];
    const counts: number[] = [];
    const look = async (federation: LiveFederation): Promise<void> => {
      const status = await federation.hub()?.ask('status', {});
      const run = status?.runs[0];
      told.push((where === 'hub' ? run?.reason : federation.site(where)?.status().reason) ?? '');
      counts.push(run?.sites.filter(({ state }) => state === 'sent').length ?? 0);
    };
    // Once while they train, and once when all of them have.
    const onBegin = (federation: LiveFederation): void => {
      for (const moment of [3050, 25_000]) machine.startTimer(moment, () => void look(federation));
    };
    const { violations, cohorts, adapter, trace } = await play([full(where)], 0, sceneWith(), onBegin);
    expect(told).toContain('No space is left for the database.');
    expect(counts).toEqual([0, sent]);
    expect(violations).toEqual([]);
    expect(cohorts).toEqual([SITE_NAMES, SITE_NAMES, SITE_NAMES]);
    expect(adapter).toBe(undisturbed);
    expect(trace.filter((line) => line.includes('"type":"update","run"'))).toHaveLength(9);
  });
});

describe('an update that comes after its round', () => {
  const slow: Fault = { kind: 'slow-site', at: 0, site: 'north', seconds: 60, factor: 15 };
  const LATE = sceneWith({ late: { discount: 0.25 } });
  const lateIn = (late: readonly ReadonlyMap<string, number>[]) =>
    late.flatMap((sites, round) => [...sites].map(([site, from]) => [round, site, from]));

  it('counts in the next one where the plan takes it, once, and is dropped where it does not', async () => {
    const taken = await play([slow], 0, LATE);
    expect(taken.violations).toEqual([]);
    expect(lateIn(taken.late)).toEqual([[1, 'north', 0]]);
    expect(taken.cohorts[0]).toEqual(['east', 'south']);
    expect(taken.cohorts[1]).toContain('north');
    const dropped = await play([slow]);
    expect(dropped.violations).toEqual([]);
    expect(lateIn(dropped.late)).toEqual([]);
    expect(taken.adapter).not.toBe(dropped.adapter);
  });

  const deaths: readonly Fault[] = [
    { kind: 'hub-crash', at: 42, point: 'commit-update:before', passage: 1, seconds: 2 },
    { kind: 'hub-crash', at: 42, point: 'commit-update:after', passage: 1, seconds: 2 },
    { kind: 'hub-crash', at: 42, point: 'close-round:before', passage: 1, seconds: 2 },
    { kind: 'hub-crash', at: 42, point: 'aggregate-written', passage: 1, seconds: 2 },
    { kind: 'site-crash', at: 42, site: 'north', point: 'acknowledge:before', passage: 1, seconds: 2 },
    { kind: 'site-crash', at: 42, site: 'north', point: 'acknowledge:after', passage: 1, seconds: 2 },
    { kind: 'site-crash', at: 42, site: 'north', point: 'keep-update:after', passage: 1, seconds: 2 },
    { kind: 'partition', at: 44, site: 'north', seconds: 5 },
  ];
  it.each(deaths)('counts once, and the run gives what its cohorts give, with %j', async (fault) => {
    const { violations, late } = await play([slow, fault], 0, LATE);
    expect(violations).toEqual([]);
    expect(lateIn(late)).toEqual([[1, 'north', 0]]);
  });
});

it('the same seed plays the same, to the last event', async () => {
  for (const seed of [11, 12, 13]) {
    const scene = drawScene(seed);
    const faults = drawFaults(seed, occasionOf(scene));
    expect(await play(faults, seed, scene)).toEqual(await play(faults, seed, scene));
  }
});

it(`${SEEDS} random seeds lose, double and misplace no update and never hang`, { timeout: 0 }, async () => {
  const tally = { whole: 0, late: 0 };
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const scene = drawScene(seed);
    const { violations, cohorts, late } = await play(drawFaults(seed, occasionOf(scene)), seed, scene);
    expect(violations, `seed ${seed}`).toEqual([]);
    if (cohorts.every((cohort) => cohort.length === SITE_NAMES.length)) tally.whole += 1;
    if (late.some(({ size }) => size > 0)) tally.late += 1;
  }
  // Faults that nobody survived, or that hit nothing, would show nothing.
  expect(tally.whole).toBeGreaterThan(SEEDS / 4);
  expect(tally.whole).toBeLessThan(SEEDS);
  expect(tally.late).toBeGreaterThan(SEEDS / 20);
});
