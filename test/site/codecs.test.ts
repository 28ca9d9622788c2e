/** @file Codecs and resting matrices between real sites and a real hub: what travels, and that all hold the same. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../core/federation/canonical.ts';
import { encodeTensors } from '../../core/federation/codec.ts';
import type { Plan } from '../../core/federation/plan.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { removeFolder } from '../helpers/folders.ts';
import { largestDifference } from '../helpers/numbers.ts';
import { makePlan, makeTrainer } from '../helpers/site.ts';
import type { FakeTrainer } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';
import { foundFederation } from '../helpers/whole.ts';
import type { WholeFederation } from '../helpers/whole.ts';

const NAMES = ['clinic-a', 'clinic-b'];
let root: string;
let trainers: Record<string, FakeTrainer>;
const open: WholeFederation[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tributary-codecs-'));
});
afterEach(async () => {
  for (const trainer of Object.values(trainers)) trainer.release();
  for (const federation of open.splice(0)) await federation.stop();
  await removeFolder(root);
});

async function found(folder: string): Promise<WholeFederation> {
  trainers = Object.fromEntries(NAMES.map((name) => [name, makeTrainer()]));
  const federation = await foundFederation(folder, trainers);
  open.push(federation);
  return federation;
}

/** Tensors are alike where these are; comparing them number by number takes seconds. */
const hashOf = (tensors: NamedTensors): string => sha256(encodeTensors(tensors));

/** The largest absolute value; NaN where one is. */
const largest = (data: Float32Array): number =>
  data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

const planOf = (federation: object, adapter: object = {}): Plan =>
  makePlan({
    adapter: { rank: 8, alpha: 16, ...adapter },
    federation: { rounds: 4, minSites: 2, ...federation },
  });

/** Runs a plan; what each round moved, and the adapter, which all sites hold alike. */
async function complete(plan: Plan): Promise<{ adapter: NamedTensors; up: number[]; down: number[] }> {
  const federation = await found(join(root, String(readdirSync(root).length)));
  const [adapter, ...others] = await federation.adapters(await federation.propose(plan));
  for (const other of others) expect(hashOf(other)).toBe(hashOf(adapter));
  const rounds = federation.events.filter((event) => event.type === 'round');
  await federation.stop();
  return {
    adapter,
    up: rounds.map(({ bytesUp }) => bytesUp),
    down: rounds.map(({ bytesDown }) => bytesDown),
  };
}

const bases = (name: string): NamedTensors[] => trainers[name].requests.map(({ base }) => base);
const basesOf = (name: string): string[] => bases(name).map(hashOf);

describe('a run', () => {
  it.each([
    ['bf16', 0.55],
    ['int8', 0.32],
  ])('in %s moves at most %d of the bytes, and all sites start every round alike', async (codec, share) => {
    const plain = await complete(planOf({}, { rank: 64 }));
    const short = await complete(planOf({ codec }, { rank: 64 }));
    expect(bases('clinic-a')).toHaveLength(4);
    expect(basesOf('clinic-b')).toEqual(basesOf('clinic-a'));
    for (const round of [0, 1, 2, 3]) {
      expect(short.up[round]).toBeLessThan(share * plain.up[round]);
      expect(short.down[round]).toBeLessThan(share * plain.down[round]);
    }
    for (const [name, { data }] of plain.adapter) {
      // The pretended steps are up to 1 long, the initial adapter up to 0.2.
      expect(largestDifference(data, short.adapter.get(name)?.data ?? [])).toBeLessThan(0.02);
    }
  });

  it.each(['f32', 'int8'])('of FFA-LoRA in %s moves B alone, and A stays as it was drawn', async (codec) => {
    const whole = await complete(planOf({ codec }));
    const half = await complete(planOf({ codec }, { variant: 'ffa' }));
    // A of the tiny model's linears has about as many numbers as B.
    for (const round of [1, 2, 3]) {
      expect(half.up[round]).toBeLessThan(0.75 * whole.up[round]);
      expect(half.down[round]).toBeLessThan(0.75 * whole.down[round]);
    }
    const [first] = bases('clinic-a');
    for (const [name, { data }] of half.adapter) {
      const moved = data.some((value, i) => value !== first.get(name)?.data[i]);
      expect(moved, name).toBe(!name.endsWith('lora_A.weight'));
    }
  });

  it.each(['f32', 'bf16'])('of RoLoRA in %s moves in each round what is trained in it', async (codec) => {
    const { adapter } = await complete(planOf({ codec }, { variant: 'rolora' }));
    const [first, second, third, fourth] = bases('clinic-b');
    const changed = (before: NamedTensors, after: NamedTensors): Set<string> =>
      new Set(
        [...after].flatMap(([name, { data }]) =>
          data.some((value, i) => value !== before.get(name)?.data[i]) ? [name.slice(-8, -7)] : [],
        ),
      );
    expect(
      [changed(first, second), changed(second, third), changed(third, fourth)].map((names) => [...names]),
    ).toEqual([['B'], ['A'], ['B']]);
    expect([...changed(fourth, adapter)]).toEqual(['A']);
  });

  it('of SCAFFOLD in int8 keeps the hub’s control variate the mean of the sites’', async () => {
    await complete(planOf({ codec: 'int8', strategy: { name: 'scaffold' } }));
    for (const round of [1, 2, 3]) {
      const requests = NAMES.map((name) => trainers[name].requests[round].controls);
      expect(requests[0]?.hub.size).toBeGreaterThan(0);
      const [one, other] = requests.map((controls) => hashOf(controls?.hub ?? new Map()));
      expect(other).toBe(one);
      for (const [name, { data }] of requests[0]?.hub ?? []) {
        const mean = data.map((_, i) =>
          requests.reduce((sum, own) => sum + (own?.site.get(name)?.data[i] ?? NaN) / 2, 0),
        );
        // What the hub holds is exact; what it has told of it is off by half a code.
        expect(largest(data.map((value, i) => value - mean[i]))).toBeLessThan(0.02 * largest(data));
      }
    }
  });
});

/** A run whose second site is stopped in round 1, with the hub, and started anew, without its blobs or with them. */
async function disturbed(plan: Plan, loses: boolean): Promise<NamedTensors> {
  const rough = await found(join(root, `rough-${loses}`));
  const { 'clinic-b': trainer } = trainers;
  trainer.hold = true;
  const run = await rough.propose(plan);
  await until(() => expect(trainer.requests).toHaveLength(1));
  trainer.release();
  trainer.hold = true;
  await until(() => expect(trainer.requests).toHaveLength(2));
  await rough.stopSite('clinic-b');
  const store = join(rough.folder, 'clinic-b', 'blobs');
  if (loses) for (const name of readdirSync(store)) rmSync(join(store, name));
  await rough.hub().stop();
  await rough.startHub();
  await rough.startSite('clinic-b', makeTrainer());
  const [first, second] = await rough.adapters(run);
  expect(hashOf(second)).toBe(hashOf(first));
  return first;
}

it.each(['int8', 'bf16'])(
  'survives in %s that a site and the hub stop, and that a site loses its blobs',
  async (codec) => {
    const plan = planOf({ codec });
    const { adapter } = await complete(plan);
    expect(hashOf(await disturbed(plan, false))).toBe(hashOf(adapter));
    // What rounding had left out of the first update is gone, so the last bits differ.
    const other = await disturbed(plan, true);
    for (const [name, { data }] of adapter) {
      const found = other.get(name)?.data ?? [];
      expect(largest(data.map((value, i) => value - found[i]))).toBeLessThan(0.02);
    }
  },
);
