/** @file A simulated run gives the adapter of the real one: the same plan, sites and rows, the same bytes. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBlobStore } from '../../core/federation/blobs.ts';
import { pinPlan, readPlan } from '../../core/federation/plan.ts';
import type { PlanRequest } from '../../core/federation/plan.ts';
import { initHub } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { runFederated } from '../../core/simulation/federated.ts';
import type { VirtualSite } from '../../core/simulation/federated.ts';
import { askSite } from '../../core/site/ask.ts';
import { createEngineTrainer } from '../../core/site/engine-trainer.ts';
import type { RoundTrainer } from '../../core/site/trainer.ts';
import { importRows, makeTrainer, SOFTWARE, start } from '../helpers/site.ts';

// The trainer's process is the built program; `npm test` builds first.

const { id, sha256 } = openTiny().identity;
const model = { id, sha256 };
/** Rows of each site. */
const SITES = { 'clinic-a': 10, 'clinic-b': 11, 'clinic-c': 13 };

let root: string;
let cleanups: (() => Promise<unknown>)[] = [];
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'tributary-simulation-'))));
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups = [];
  rmSync(root, { recursive: true });
});

function planWith(federation: Record<string, unknown>, training: Record<string, unknown> = {}): PlanRequest {
  return readPlan(
    JSON.stringify({
      name: 'clinics',
      model: 'tiny',
      seed: 7,
      adapter: { rank: 2, alpha: 4 },
      training: { steps: 2, batchSize: 2, maxLength: 64, precision: 'f32', learningRate: 1e-2, ...training },
      federation: { rounds: 3, minSites: 3, ...federation },
    }),
  );
}

/** The adapters that a hub and sites that talk over sockets leave at the sites, by the site's name. */
async function realRuns(
  plan: PlanRequest,
  trainerOf: () => RoundTrainer,
): Promise<ReadonlyMap<string, NamedTensors>> {
  const folder = join(root, 'hub');
  await initHub({ folder, name: 'clinics' });
  let ended: (state: string) => void = () => undefined;
  const end = new Promise<string>((resolve) => (ended = resolve));
  const hub = await startHub({
    folder,
    heartbeatSeconds: 5,
    onEvent: (event) => {
      if (event.type === 'ended') ended(event.state);
    },
  });
  cleanups.push(() => hub.stop());
  const adapters = new Map<string, NamedTensors>();
  let saved: () => void = () => undefined;
  const areSaved = new Promise<void>((resolve) => (saved = resolve));
  for (const [name, rows] of Object.entries(SITES)) {
    const home = join(root, name);
    const { invitation } = await hub.ask('invite', { site: name });
    await askSite({ folder: home, software: SOFTWARE }, 'join', { invitation });
    await importRows(home, rows);
    await askSite({ folder: home, software: SOFTWARE }, 'approve', { standing: true, dataset: 'notes' });
    const site = await start(home, trainerOf(), {
      saveAdapter: (_run, _plan, tensors) => {
        adapters.set(name, tensors);
        if (adapters.size === Object.keys(SITES).length) saved();
        return Promise.resolve();
      },
    });
    cleanups.push(() => site.stop());
  }
  await hub.ask('propose', { plan, model, configuration: TINY_CONFIGURATION });
  expect(await end).toBe('completed');
  await areSaved;
  return adapters;
}

/** The one adapter that all sites have in the end. */
async function realRun(plan: PlanRequest, trainerOf: () => RoundTrainer): Promise<NamedTensors> {
  const [first, ...others] = [...(await realRuns(plan, trainerOf)).values()];
  for (const other of others) expect(other).toEqual(first);
  return first;
}

const sites: VirtualSite[] = Object.entries(SITES).map(([name, rows]) => ({
  name,
  examples: Array.from({ length: rows }, (_, row) => ({
    kind: 'conversation',
    messages: [
      { role: 'user', content: `q${row}` },
      { role: 'assistant', content: `a${row}` },
    ],
  })),
}));

async function simulated(request: PlanRequest, trainer: RoundTrainer) {
  const plan = pinPlan(request, model);
  return runFederated({
    plan,
    sites: [...sites].reverse(),
    trainer,
    blobs: await openBlobStore(join(root, 'blobs')),
    start: initialAdapter(TINY_CONFIGURATION, plan.adapter, plan.seed),
    signal: new AbortController().signal,
  });
}

function engine(): RoundTrainer {
  const trainer = createEngineTrainer({ threads: 1 });
  cleanups.push(() => trainer.close());
  return trainer;
}

describe('a simulated run gives the adapter of the real one', () => {
  it.each(['fedavg', 'scaffold', 'fedprox'])(
    'with %s, training the tiny model',
    { timeout: 180_000 },
    async (name) => {
      const plan = planWith({ rounds: 2, strategy: { name } });
      const real = await realRun(plan, engine);
      const { adapter } = await simulated(plan, engine());
      expect(adapter).toEqual(real);
    },
  );

  it.each(['fedavgm', 'fedadagrad', 'fedyogi', 'fedadam', 'scaffold'])(
    'with %s, training in pretence',
    async (name) => {
      const plan = planWith({ strategy: { name } });
      const real = await realRun(plan, makeTrainer);
      const { adapter, rounds, cohortRounds } = await simulated(plan, makeTrainer());
      expect(adapter).toEqual(real);
      expect(rounds.map(({ round, loss }) => [round, loss])).toEqual([
        [0, 2],
        [1, 2],
        [2, 2],
      ]);
      expect(Object.fromEntries(cohortRounds)).toEqual({ 'clinic-a': 3, 'clinic-b': 3, 'clinic-c': 3 });
    },
  );

  it('where sites share A and keep a B of their own', { timeout: 180_000 }, async () => {
    const plan = planWith({ rounds: 2 });
    const personal = { ...plan, adapter: { ...plan.adapter, variant: 'fedsa' as const } };
    const real = await realRuns(personal, engine);
    const { atSites } = await simulated(personal, engine());
    expect(atSites).toEqual(real);
    const [one, other] = [...real.values()];
    for (const [tensor, { data }] of one) {
      const same = expect(data);
      if (tensor.includes('lora_A')) same.toEqual(other.get(tensor)?.data);
      else same.not.toEqual(other.get(tensor)?.data);
    }
  });

  it('where each site takes as many steps as its rows ask for', { timeout: 180_000 }, async () => {
    // ⌈n / (2 · 2)⌉ for 10, 11 and 13 rows, two rounds and batches of 2: 3, 3 and 4 steps.
    const plan = planWith({ rounds: 2, strategy: { name: 'scaffold' } }, { passes: 1, steps: 9 });
    const real = await realRun(plan, engine);
    const taken: number[] = [];
    const trainer = engine();
    const watched: RoundTrainer = {
      ...trainer,
      train: (request) => {
        taken.push(request.plan.training.steps);
        return trainer.train(request);
      },
    };
    const { adapter } = await simulated(plan, watched);
    expect(adapter).toEqual(real);
    expect(taken).toEqual([3, 3, 4, 3, 3, 4]);
  });
});

it('refuses fewer sites than the plan begins with', async () => {
  await expect(simulated(planWith({ minSites: 4 }), makeTrainer())).rejects.toMatchObject({
    code: 'simulation.too-few-sites',
  });
});
