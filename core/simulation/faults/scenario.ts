/**
 * @file Plays one list of faults against a federation and checks what must hold whatever happens: the run completes,
 * every round is the sum of the updates of its cohort, each once and from its own base, no acknowledged update is
 * missing, and the ledgers verify.
 */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openBlobStore } from '../../federation/blobs.ts';
import { sha256 } from '../../federation/canonical.ts';
import { encodeTensors } from '../../federation/codec.ts';
import { openIdentity } from '../../federation/identity.ts';
import { verifyLedger } from '../../federation/ledger-verification.ts';
import { pinPlan, readPlan } from '../../federation/plan.ts';
import type { PlanRequest } from '../../federation/plan.ts';
import type { HubEvent } from '../../hub/context.ts';
import { openRunStore } from '../../hub/run-store.ts';
import { openStore } from '../../hub/store.ts';
import { replaceMachine } from '../../machine.ts';
import type { ModelConfiguration } from '../../model/configuration.ts';
import { initialAdapter } from '../../model/lora.ts';
import { runFederated } from '../federated.ts';
import { copyFederation, openFederation } from './federation.ts';
import type { LiveFederation } from './federation.ts';
import type { Fault, Occasion } from './faults.ts';
import { createPretendedTrainer } from './pretended-training.ts';
import { schedule } from './schedule.ts';
import { createVirtualMachine } from './virtual-machine.ts';
import { fileSecrets } from '../../secrets.ts';

/** The run is over by then unless it hangs: more than a hundred times what an undisturbed one takes. */
const HORIZON_MILLISECONDS = 3_600_000;

/** What to draw faults for: a second a step, and about two for the rest of a round. */
export function occasionOf({ plan: { training, federation }, sites }: Scene): Occasion {
  const { rounds, deadline, late } = federation;
  return {
    sites: Object.keys(sites),
    span: rounds * (training.steps + 2) + 5,
    overrun: late === undefined ? null : deadline / training.steps,
  };
}

/** The smallest model with all seven linears; nobody computes with it. */
const CONFIGURATION: ModelConfiguration = {
  modelType: 'llama',
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 1,
  attentionHeads: 2,
  keyValueHeads: 1,
  headSize: 4,
  vocabularySize: 16,
  maximumPositions: 4096,
  rmsNormEpsilon: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: null,
  tiedEmbedding: true,
  attentionBias: false,
};
const MODEL = { id: 'pretended', sha256: '5'.repeat(64) };

export interface ScenarioResult {
  /** What did not hold; empty where all is well. */
  readonly violations: readonly string[];
  /** Sites whose updates counted, by round. */
  readonly cohorts: readonly (readonly string[])[];
  /** By round: sites whose late updates counted in it, and the rounds that those were trained in. */
  readonly late: readonly ReadonlyMap<string, number>[];
  /** SHA-256 of the final adapter, or null where the run has none. */
  readonly adapter: string | null;
  /** Seconds of the virtual clock. */
  readonly seconds: number;
  /** What the hub told, with the moment: the same for the same seed and faults. */
  readonly trace: readonly string[];
}

/** What is disturbed. */
export interface Scene {
  /** Its rounds, sites, deadline and strategy count; training is pretended, a second a step. */
  readonly plan: PlanRequest;
  /** Rows by name of the site. */
  readonly sites: Readonly<Record<string, number>>;
}

/** The plan for a model that is not there, which no one has to open. */
function pretended({ plan }: Scene): PlanRequest {
  const { adapter, training } = plan;
  const maxLength = Math.min(training.maxLength, CONFIGURATION.maximumPositions);
  const changed = {
    ...plan,
    model: MODEL.id,
    adapter: { ...adapter, rank: Math.min(adapter.rank, 4), start: undefined },
    training: { ...training, maxLength },
  };
  return readPlan(JSON.stringify(changed)); // which leaves out what is undefined
}

/**
 * Plays faults against a copy of the prepared federation. Everything random in it comes from the seed; the process
 * must do nothing else meanwhile.
 */
export async function playScenario(options: {
  readonly scene: Scene;
  /** Where `foundFederation` has founded the scene's sites. */
  readonly prepared: string;
  /** Is made, and removed afterwards. */
  readonly folder: string;
  readonly seed: number;
  readonly faults: readonly Fault[];
  /** Told once the run is proposed, before time passes; may start timers of its own. */
  readonly onBegin?: (federation: LiveFederation) => void;
}): Promise<ScenarioResult> {
  const { scene, prepared, folder, seed, faults } = options;
  const names = Object.keys(scene.sites);
  await copyFederation(prepared, folder);
  const virtual = createVirtualMachine(seed);
  const restore = replaceMachine(virtual);
  const trace: string[] = [];
  const events: HubEvent[] = [];
  const federation = openFederation({
    folder,
    sites: names,
    onEvent: (event) => {
      events.push(event);
      trace.push(`${Math.round(virtual.now())} ${JSON.stringify(event)}`);
    },
  });
  const plan = pretended(scene);
  const pass = <T>(promise: Promise<T>, more = HORIZON_MILLISECONDS): Promise<T | null> =>
    virtual.runUntil(promise, virtual.now() + more);
  try {
    await pass(federation.startHub());
    for (const name of names) await pass(federation.startSite(name));
    const finished = new Promise<void>((resolve) => {
      federation.onProgress = () => {
        if (isFinished(events, federation)) resolve();
      };
    });
    // From here on things go wrong; the sites know of the run only once the hub has told them.
    await pass(
      Promise.resolve(federation.hub()?.ask('propose', { plan, model: MODEL, configuration: CONFIGURATION })),
    );
    options.onBegin?.(federation);
    for (const fault of faults) schedule(fault, { federation, virtual, folder });
    const isOver = (await pass(finished.then(() => true))) ?? false;
    const seconds = virtual.now() / 1000;
    virtual.fullDisks.clear();
    await pass(federation.stop());
    const checked = await checkRun({ folder, events, federation, scene, isOver });
    return { ...checked, seconds, trace };
  } finally {
    restore();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * A hub that dies as it ends the run tells no one; the sites' adapters do. One that was away from the proposal to the
 * end has no part in the run and none of its adapter.
 */
function isFinished(events: readonly HubEvent[], { saved }: LiveFederation): boolean {
  const failed = events.some((event) => event.type === 'ended' && event.state !== 'completed');
  const members = events.flatMap((event) => (event.type === 'approved' ? [event.site] : []));
  return failed || (saved.size > 0 && members.every((site) => saved.has(site)));
}

async function checkRun({
  folder,
  events,
  federation,
  scene,
  isOver,
}: {
  folder: string;
  events: readonly HubEvent[];
  federation: LiveFederation;
  scene: Scene;
  isOver: boolean;
}): Promise<Pick<ScenarioResult, 'violations' | 'cohorts' | 'late' | 'adapter'>> {
  const violations: string[] = [];
  const { cohorts, adapter, updates, late } = await readHub(folder);
  if (!isOver) violations.push(`The run hangs: ${cohorts.length} rounds are closed.`);
  const ended = events.find(({ type }) => type === 'ended');
  const isExcused = tooManyRefused(events, scene);
  if (ended?.type === 'ended' && ended.state !== 'completed' && !isExcused) {
    violations.push(`The run is ${ended.state}: ${ended.reason}`);
  }
  for (const { round, site } of updates) {
    const cohort = cohorts[round];
    if (cohort !== undefined && !cohort.includes(site)) {
      violations.push(`The update of ${site} was committed to round ${round} and did not count.`);
    }
  }
  const trained = late.flatMap((sites, round) =>
    [...sites].flatMap(([site, from]) =>
      updates.some((update) => update.round === from && update.site === site)
        ? [`${site} in round ${round}`]
        : [],
    ),
  );
  if (trained.length > 0)
    violations.push(`Late updates counted beside others of their round: ${trained.join()}.`);
  if (new Set(updates.map(({ round, site }) => `${round} ${site}`)).size < updates.length) {
    violations.push('A site has two updates in one round.');
  }
  if (isOver && adapter !== null) {
    const expected = await withCohorts(folder, scene, { cohorts, late });
    if (adapter !== expected) violations.push(`The adapter is ${adapter}; its cohorts give ${expected}.`);
    for (const [site, hash] of federation.saved) {
      if (hash !== adapter) violations.push(`${site} has saved another adapter than the hub's.`);
    }
  }
  const witnesses = Object.keys(scene.sites).map((name) => join(folder, name));
  for (const place of [join(folder, 'hub'), ...witnesses]) {
    const report = await verifyLedger(place, place === join(folder, 'hub') ? { witnesses } : undefined);
    if (!report.verified) violations.push(`The ledger in ${place} does not verify.`);
  }
  return { violations, cohorts, late, adapter };
}

/** Whether so many sites sent garbage in one round that too few were left for it: then a run has to fail. */
function tooManyRefused(events: readonly HubEvent[], { plan, sites }: Scene): boolean {
  const refused = new Map<number, Set<string>>();
  for (const event of events) {
    if (event.type !== 'refused') continue;
    refused.set(event.round, (refused.get(event.round) ?? new Set()).add(event.site));
  }
  const spare = Object.keys(sites).length - plan.federation.minSites;
  return [...refused.values()].some(({ size }) => size > spare);
}

/** What the hub's database says of the run. */
async function readHub(folder: string): Promise<{
  readonly cohorts: readonly (readonly string[])[];
  readonly adapter: string | null;
  readonly late: readonly ReadonlyMap<string, number>[];
  /** Every committed update. */
  readonly updates: readonly { readonly round: number; readonly site: string }[];
}> {
  const hub = join(folder, 'hub');
  const store = openStore(hub, await openIdentity(fileSecrets(hub)));
  try {
    const runs = openRunStore(store);
    const [run] = runs.runs();
    if (run === undefined) return { cohorts: [], late: [], adapter: null, updates: [] };
    const last = runs.currentRound(run.id)?.number ?? -1;
    const rounds = Array.from({ length: last + 1 }, (_, number) => runs.round(run.id, number));
    return {
      cohorts: rounds.flatMap((round) => (round?.phase === 'closed' ? [round.cohort ?? []] : [])),
      late: rounds.map((_, round) => {
        const entries = runs.contributions(run.id, round).filter(({ state }) => state === 'committed');
        return new Map(entries.flatMap(({ site, late }) => (late ? [[site, late.round] as const] : [])));
      }),
      adapter: run.adapter?.hash ?? null,
      updates: rounds.flatMap((_, round) =>
        runs
          .contributions(run.id, round)
          .flatMap(({ site, state }) => (state === 'committed' ? [{ round, site }] : [])),
      ),
    };
  } finally {
    store.close();
  }
}

/** The adapter that the cohorts' updates give when nothing goes wrong. */
async function withCohorts(
  folder: string,
  scene: Scene,
  { cohorts, late }: Pick<ScenarioResult, 'cohorts' | 'late'>,
): Promise<string> {
  const plan = pinPlan(pretended(scene), MODEL);
  const run = await runFederated({
    plan,
    sites: Object.entries(scene.sites).map(([name, rows]) => ({
      name,
      examples: Array.from({ length: rows }, () => ({ kind: 'conversation' as const, messages: [] })),
    })),
    cohortOf: (round) => cohorts[round],
    lateOf: (round) => late[round] ?? new Map(),
    trainer: createPretendedTrainer(false),
    blobs: await openBlobStore(join(folder, 'expected')),
    start: initialAdapter(CONFIGURATION, plan.adapter, plan.seed),
    signal: new AbortController().signal,
  });
  return sha256(encodeTensors(run.adapter));
}
