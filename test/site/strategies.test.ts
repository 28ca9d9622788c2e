/** @file All strategies through a real hub, real sites and real training of the tiny model, told apart by what they do. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pinPlan, readPlan } from '../../core/federation/plan.ts';
import { openTiny } from '../../core/model/tiny.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { createEngineTrainer } from '../../core/site/engine-trainer.ts';
import type { RoundRequest, RoundResult, RoundTrainer } from '../../core/site/trainer.ts';
import { removeFolder } from '../helpers/folders.ts';
import { largestDifference } from '../helpers/numbers.ts';
import { foundFederation } from '../helpers/whole.ts';
import type { WholeFederation } from '../helpers/whole.ts';

// The trainer's process is the built program; `npm test` builds first.

const NAMES = ['clinic-a', 'clinic-b'];
let root: string;
let federation: WholeFederation;
const engine = createEngineTrainer({ threads: 1 });
let turn: Promise<unknown> = Promise.resolve();
let log: { name: string; request: RoundRequest; result: RoundResult }[] = [];

/** One warm process trains for all sites, one round after the other. */
function trainerOf(name: string): RoundTrainer {
  return {
    train: (request) => {
      const trained = turn.then(async () => {
        const result = await engine.train(request);
        log.push({ name, request, result });
        return result;
      });
      turn = trained.catch(() => undefined);
      return trained;
    },
    evaluate: (request) => engine.evaluate(request),
    close: () => Promise.resolve(),
  };
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-strategies-'));
  federation = await foundFederation(root, Object.fromEntries(NAMES.map((name) => [name, trainerOf(name)])));
});
afterAll(async () => {
  await federation.stop();
  await engine.close();
  await removeFolder(root);
});

interface Outcome {
  readonly run: string;
  /** As each site has kept it. */
  readonly adapters: readonly NamedTensors[];
  readonly round: (name: string, round: number) => { request: RoundRequest; result: RoundResult };
}

const outcomes = new Map<string, Promise<Outcome>>();

function run(strategy: { name: string } & Record<string, unknown>): Promise<Outcome> {
  const known = outcomes.get(strategy.name);
  if (known !== undefined) return known;
  const outcome = complete(strategy);
  outcomes.set(strategy.name, outcome);
  return outcome;
}

async function complete(strategy: { name: string }): Promise<Outcome> {
  const written = {
    name: strategy.name,
    model: 'tiny',
    adapter: { rank: 2, alpha: 4, targets: ['q_proj', 'v_proj'] },
    training: { steps: 4, batchSize: 2, maxLength: 64, learningRate: 1e-2, precision: 'f32' },
    federation: { rounds: 2, minSites: 2, strategy },
  };
  const { id, sha256 } = openTiny().identity;
  log = [];
  const proposed = await federation.propose(pinPlan(readPlan(JSON.stringify(written)), { id, sha256 }));
  const adapters = await federation.adapters(proposed);
  const rounds = log;
  return {
    run: proposed,
    adapters,
    round: (name, round) => {
      const found = rounds.find((entry) => entry.name === name && entry.request.round === round);
      if (found === undefined) throw new Error(`${name} has not trained round ${round}.`);
      return found;
    },
  };
}

const flat = (tensors: NamedTensors): number[] => [...tensors.values()].flatMap(({ data }) => [...data]);
const differences = (one: number[], other: number[]): number[] => one.map((value, i) => value - other[i]);
const length = (values: number[]): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** Mean of what the sites made of a round, weighted by their examples. */
function mean({ round }: Outcome, number: number): number[] {
  const results = NAMES.map((name) => round(name, number).result);
  const total = results.reduce((sum, { examples }) => sum + examples, 0);
  const values = results.map(({ adapter }) => flat(adapter));
  return values[0].map((_, i) =>
    results.reduce((sum, { examples }, k) => sum + (examples / total) * values[k][i], 0),
  );
}

function expectNear(found: number[], expected: number[]): void {
  expect(found).toHaveLength(expected.length);
  expect(length(differences(found, expected))).toBeLessThan(1e-6 * length(expected));
}

describe('two rounds of', () => {
  it('fedavg end with the mean of the sites, weighted by examples', async () => {
    const outcome = await run({ name: 'fedavg' });
    expectNear(flat(outcome.round('clinic-a', 1).request.base), mean(outcome, 0));
    expectNear(flat(outcome.adapters[0]), mean(outcome, 1));
    expect(outcome.adapters[1]).toEqual(outcome.adapters[0]);
  });

  it('fedprox hardly move where μ is huge', async () => {
    const moved = (outcome: Outcome): number => {
      const { request, result } = outcome.round('clinic-a', 0);
      return length(differences(flat(result.adapter), flat(request.base)));
    };
    const [tied, free] = [await run({ name: 'fedprox', mu: 1000 }), await run({ name: 'fedavg' })];
    expectNear(flat(tied.adapters[0]), mean(tied, 1));
    expect(moved(tied)).toBeGreaterThan(0);
    expect(moved(tied)).toBeLessThan(0.7 * moved(free));
  });

  it('scaffold give every site the mean of what their control variates changed by', async () => {
    const outcome = await run({ name: 'scaffold' });
    const changes = NAMES.map((name) => flat(outcome.round(name, 0).result.controls?.change ?? new Map()));
    const c = changes[0].map((value, i) => (value + changes[1][i]) / 2);
    for (const name of NAMES) {
      const { controls } = outcome.round(name, 1).request;
      expectNear(flat(controls?.hub ?? new Map()), c);
      expect(controls?.site).toEqual(outcome.round(name, 0).result.controls?.site);
    }
    expect(length(c)).toBeGreaterThan(0);
    expectNear(flat(outcome.adapters[0]), mean(outcome, 1));
  });

  it('fedavgm begin as fedavg and then keep some of the way', async () => {
    const outcome = await run({ name: 'fedavgm' });
    const [first, second] = [0, 1].map((round) => flat(outcome.round('clinic-a', round).request.base));
    expectNear(second, mean(outcome, 0));
    const step = differences(mean(outcome, 1), second);
    const momentum = differences(second, first).map((value, i) => 0.9 * value + 0.1 * step[i]);
    expectNear(
      flat(outcome.adapters[0]),
      second.map((value, i) => value + momentum[i]),
    );
  });

  it.each(['fedadagrad', 'fedyogi', 'fedadam'])(
    '%s move by the hub’s own rate, whatever the sites’ was',
    async (name) => {
      const outcome = await run({ name });
      const [first, second] = [0, 1].map((round) => flat(outcome.round('clinic-a', round).request.base));
      // η = 10⁻³ and m / (√v + τ) is at most about ten in the first round.
      expect(largestDifference(second, first)).toBeLessThan(1.1e-2);
      expect(length(differences(second, first))).toBeGreaterThan(0);
      for (const other of ['fedavg', 'fedadagrad', 'fedyogi', 'fedadam'].filter((each) => each !== name))
        expect((await run({ name: other })).adapters[0]).not.toEqual(outcome.adapters[0]);
    },
  );

  it('local leave every site its own adapter, trained on from round to round, which the hub never sees', async () => {
    const outcome = await run({ name: 'local' });
    for (const [index, name] of NAMES.entries()) {
      expect(outcome.round(name, 1).request.base).toEqual(outcome.round(name, 0).result.adapter);
      expect(outcome.adapters[index]).toEqual(outcome.round(name, 1).result.adapter);
    }
    expect(outcome.adapters[0]).not.toEqual(outcome.adapters[1]);
    const rounds = federation.events.filter((event) => event.type === 'round' && event.run === outcome.run);
    expect(rounds).toHaveLength(2);
    const exported = federation.hub().ask('export', { run: outcome.run, out: join(root, 'exported') });
    await expect(exported).rejects.toMatchObject({ code: 'run.no-adapter' });
  });
});
