/** @file Sweeps with the tiny model: what they give, and that a stopped one goes on where it was. */

import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { readPlan } from '../../core/federation/plan.ts';
import { readAdapter } from '../../core/model/adapter.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { readRows } from '../../core/simulation/rows.ts';
import { runSweep } from '../../core/simulation/sweep.ts';
import type { SweepOptions } from '../../core/simulation/sweep.ts';
import { createEngineTrainer } from '../../core/site/engine-trainer.ts';
import type { EngineTrainer } from '../../core/site/engine-trainer.ts';

// The trainer's process is the built program; `npm test` builds first.

let root: string;
let engine: EngineTrainer;
let trainings: number;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tributary-sweep-'));
  trainings = 0;
  const real = createEngineTrainer({ threads: 1 });
  engine = { ...real, train: (request) => ((trainings += 1), real.train(request)) };
  const lines = Array.from({ length: 30 }, (_, row) =>
    JSON.stringify({ instruction: `Is ${row} even?`, response: row % 2 === 0 ? 'yes' : 'no' }),
  );
  mkdirSync(join(root, 'data'));
  writeFileSync(join(root, 'data', 'rows.jsonl'), lines.join('\n'));
});
afterEach(async () => {
  await engine.close();
  rmSync(root, { recursive: true });
});

const plan = readPlan(
  JSON.stringify({
    name: 'numbers',
    model: 'tiny',
    adapter: { rank: 2, alpha: 4 },
    training: { steps: 2, batchSize: 2, maxLength: 96, precision: 'f32', learningRate: 1e-2 },
    federation: { rounds: 2, minSites: 3 },
  }),
);
const { id, sha256 } = openTiny().identity;

async function sweep(folder: string, changes: Partial<SweepOptions> = {}) {
  return runSweep({
    experiment: {
      plan,
      model: { id, sha256 },
      configuration: TINY_CONFIGURATION,
      rows: await readRows(join(root, 'data'), 'sft'),
      partition: { name: 'dirichlet', sites: 3, alpha: 0.3, by: 'response' },
      heldOutShare: 0.2,
    },
    seeds: [1, 2],
    models: ['local', 'fedavg', 'fedadam', 'centralised'],
    engine,
    threads: 1,
    folder: join(root, folder),
    signal: new AbortController().signal,
    ...changes,
  });
}

const outcomes = ({ combinations }: Awaited<ReturnType<typeof sweep>>) =>
  combinations.map(({ seed, model, result: { members, cohortRounds, rounds } }) => ({
    seed,
    model,
    members,
    cohortRounds,
    losses: rounds.map(({ loss }) => loss),
  }));

it('trains every combination, and after a stop only what is missing', { timeout: 240_000 }, async () => {
  const shares: number[] = [];
  const whole = await sweep('whole', { onProgress: (share) => shares.push(share) });
  expect(whole.combinations.map(({ seed, model }) => `${seed} ${model}`)).toEqual(
    [1, 2].flatMap((seed) =>
      ['base', 'local', 'fedavg', 'fedadam', 'centralised'].map((model) => `${seed} ${model}`),
    ),
  );
  // Of each seed: three sites alone, three in each federation, one with all rows; two rounds each.
  expect(trainings).toBe(2 * 2 * (3 + 3 + 3 + 1));
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
  expect(shares.at(-1)).toBeCloseTo(1, 9);
  for (const { model, adapter, result } of whole.combinations) {
    expect(result.members).toHaveLength(model === 'local' ? 3 : 1);
    expect(result.members.flat().every(({ hit }) => hit === 0 || hit === 1)).toBe(true);
    if (adapter === null) continue;
    const base = { identity: { id, sha256 }, configuration: TINY_CONFIGURATION };
    expect(readAdapter(adapter, base).tensors.size).toBeGreaterThan(0);
  }

  const stop = new AbortController();
  const stopped = sweep('stopped', {
    signal: stop.signal,
    onFinished: ({ model }) => {
      if (model === 'fedavg') stop.abort(new TributaryError('training.stopped', 'Stopped by the test.'));
    },
  });
  await expect(stopped).rejects.toMatchObject({ code: 'training.stopped' });
  trainings = 0;
  const resumed = await sweep('stopped');
  expect(resumed.combinations.filter(({ kept }) => kept).map(({ model }) => model)).toEqual([
    'base',
    'local',
    'fedavg',
  ]);
  expect(trainings).toBe(2 * (3 + 1) + 2 * (3 + 3 + 3 + 1));
  expect(outcomes(resumed)).toEqual(outcomes(whole));

  // Repeated, it does nothing; a damaged result or a lost adapter is made anew.
  trainings = 0;
  expect((await sweep('stopped')).combinations.every(({ kept }) => kept)).toBe(true);
  expect(trainings).toBe(0);
  rmSync(join(root, 'stopped', 'adapters', 'fedavg-seed-1'), { recursive: true });
  const [first] = readdirSync(join(root, 'stopped', 'combinations'));
  writeFileSync(join(root, 'stopped', 'combinations', first), '{"rounds":');
  expect(outcomes(await sweep('stopped'))).toEqual(outcomes(whole));
  expect(trainings).toBeGreaterThan(0);
});

it('measures the own copies of the sites beside the joint model', { timeout: 60_000 }, async () => {
  const lengths: number[] = [];
  const watched: EngineTrainer = {
    ...engine,
    train: (request) => {
      lengths.push(request.plan.training.steps);
      return engine.train(request);
    },
  };
  const rows = await readRows(join(root, 'data'), 'sft');
  const partition = { name: 'iid', sites: 3, alpha: 0.3 } as const;
  const { combinations } = await sweep('own', {
    experiment: {
      plan: { ...plan, personal: { steps: 3 } },
      ...{ model: { id, sha256 }, configuration: TINY_CONFIGURATION, rows, partition, heldOutShare: 0.2 },
    },
    engine: watched,
    seeds: [5],
    models: ['fedavg'],
  });
  const { members, personal } = combinations[1].result;
  expect(lengths).toEqual([2, 2, 2, 2, 2, 2, 3, 3, 3]);
  expect(personal).toHaveLength(3);
  expect(new Set([...members, ...(personal ?? [])].map((rows) => JSON.stringify(rows))).size).toBe(4);
});

it('keeps held-out rows out of every training', { timeout: 60_000 }, async () => {
  const seen = new Set<string>();
  const watched: EngineTrainer = {
    ...engine,
    train: (request) => {
      for (const example of request.examples) seen.add(JSON.stringify(example));
      return engine.train(request);
    },
  };
  const { federations } = await sweep('watched', { engine: watched, seeds: [5], models: ['fedavg'] });
  const [{ heldOut, sites }] = federations;
  expect(heldOut).toHaveLength(sites.reduce((sum, site) => sum + site.heldOut.length, 0));
  expect(seen.size).toBe(30 - heldOut.length);
  for (const example of heldOut) expect(seen.has(JSON.stringify(example))).toBe(false);
});
