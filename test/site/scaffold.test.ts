/** @file SCAFFOLD between real sites and a real hub: which control variates travel, stay and count. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { removeFolder } from '../helpers/folders.ts';
import { makePlan, makeTrainer } from '../helpers/site.ts';
import type { FakeTrainer } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';
import { foundFederation } from '../helpers/whole.ts';
import type { WholeFederation } from '../helpers/whole.ts';

const NAMES = ['clinic-a', 'clinic-b', 'clinic-c'];
const plan = makePlan({
  adapter: { rank: 2, alpha: 4, targets: ['q_proj'] },
  federation: { rounds: 3, minSites: 3, strategy: { name: 'scaffold' } },
});
let root: string;
let trainers: Record<string, FakeTrainer>;
const open: WholeFederation[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tributary-scaffold-'));
  trainers = Object.fromEntries(NAMES.map((name) => [name, makeTrainer()]));
});
afterEach(async () => {
  for (const trainer of Object.values(trainers)) trainer.release();
  for (const federation of open.splice(0)) await federation.stop();
  await removeFolder(root);
});

async function found(folder: string): Promise<WholeFederation> {
  const federation = await foundFederation(folder, trainers);
  open.push(federation);
  return federation;
}

const first = (tensors: NamedTensors | undefined): number[] => [...([...(tensors ?? [])][0]?.[1].data ?? [])];
const controlsOf = (name: string, at: number) => trainers[name].requests[at]?.controls;

it('gives every site the mean of all control variates, and each its own', async () => {
  const federation = await found(root);
  await federation.adapters(await federation.propose(plan));

  for (const name of NAMES) {
    expect(first(controlsOf(name, 0)?.hub).every((value) => value === 0)).toBe(true);
    expect(first(controlsOf(name, 0)?.site).every((value) => value === 0)).toBe(true);
  }
  for (const round of [1, 2]) {
    const own = NAMES.map((name) => first(controlsOf(name, round)?.site));
    const hub = first(controlsOf('clinic-a', round)?.hub);
    expect(own[0].some((value) => value !== 0)).toBe(true);
    expect(own[0]).not.toEqual(own[1]);
    for (const name of NAMES) expect(first(controlsOf(name, round)?.hub)).toEqual(hub);
    hub.forEach((value, index) => {
      const mean = own.reduce((sum, values) => sum + values[index], 0) / own.length;
      expect(Math.abs(value - mean)).toBeLessThanOrEqual(1e-5 * Math.abs(mean));
    });
  }
});

it('gives the very same adapter when a site and the hub are stopped in the middle', async () => {
  const calm = await found(join(root, 'calm'));
  const [undisturbed] = await calm.adapters(await calm.propose(plan));
  await calm.stop();

  trainers = Object.fromEntries(NAMES.map((name) => [name, makeTrainer()]));
  const rough = await found(join(root, 'rough'));
  trainers['clinic-b'].hold = true;
  const run = await rough.propose(plan);
  await until(() => expect(trainers['clinic-b'].requests).toHaveLength(1));
  trainers['clinic-b'].release();
  for (const name of ['clinic-b', 'clinic-c'])
    await until(() => expect(trainers[name].requests).toHaveLength(2));
  trainers['clinic-c'].hold = true;
  await until(() => expect(trainers['clinic-c'].requests.at(-1)?.round).toBe(2));
  await rough.stopSite('clinic-c');
  await rough.hub().stop();
  await rough.startHub();
  await rough.startSite('clinic-c', makeTrainer());
  for (const adapter of await rough.adapters(run)) expect(adapter).toEqual(undisturbed);
});
