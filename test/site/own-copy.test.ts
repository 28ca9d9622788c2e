/** @file After a run each site trains a copy of its own of the joint adapter, keeps it and sends nothing of it. */

import { mkdtempSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { siteAdapters } from '../../core/site/adapters.ts';
import { openSiteFolder, closeSiteFolder } from '../../core/site/folder.ts';
import { ownTraining } from '../../core/site/own-copy.ts';
import { adapterFolder } from '../../core/site/saved-adapters.ts';
import { writeAdapter } from '../../core/model/adapter.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { pino } from 'pino';
import { removeFolder } from '../helpers/folders.ts';
import { makePlan, makeTrainer } from '../helpers/site.ts';
import { foundFederation } from '../helpers/whole.ts';
import type { WholeFederation } from '../helpers/whole.ts';

const changes = { federation: { rounds: 2, minSites: 2 }, training: { steps: 4 } };
const plan = makePlan({ ...changes, personal: { steps: 7 } });

let root: string;
let federation: WholeFederation | undefined;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'tributary-own-'))));
afterEach(async () => {
  await federation?.stop();
  await removeFolder(root);
});

it('trains from the joint adapter on the site’s rows, and leaves the joint one as it is', async () => {
  const trainers = { north: makeTrainer(), south: makeTrainer() };
  federation = await foundFederation(root, trainers);
  const run = await federation.propose(plan);
  const [joint, same] = await federation.adapters(run);
  expect(joint).toEqual(same);
  const [north, south] = await federation.adapters(`${run}-own`);
  expect(north).not.toEqual(south);
  expect(north).not.toEqual(joint);
  const request = trainers.south.requests.at(-1);
  expect(request).toMatchObject({
    run: `${run}-own`,
    learningRate: 5e-4,
    seedParts: [7, 'personal', 'south'],
  });
  expect(request?.plan.training.steps).toBe(7);
  expect(request?.base).toEqual(joint);
  expect(request?.examples).toHaveLength(11);
  // The hub has heard of two rounds and no more.
  const { runs } = await federation.hub().ask('status', {});
  expect(runs[0].history.map(({ cohort }) => cohort.length)).toEqual([2, 2]);

  // Of the two folders that a site with a model writes, the second is shown as its own copy.
  await federation.stop();
  const identity = { id: 'tiny', sha256: plan.model.sha256, architecture: 'llama' };
  for (const name of [run, `${run}-own`]) {
    const folder = adapterFolder(join(root, 'north'), name);
    mkdirSync(join(root, 'north', 'adapters'), { recursive: true });
    const adapter = { configuration: plan.adapter, tensors: joint };
    await writeAdapter(folder, adapter, { identity, configuration: TINY_CONFIGURATION });
  }
  const context = await openSiteFolder({ folder: join(root, 'north'), log: pino({ level: 'silent' }) });
  const shown = siteAdapters(context).map(({ name, kind }) => `${name}: ${kind}`);
  closeSiteFolder(context);
  expect(shown.sort()).toEqual(['clinics (own copy): local', 'clinics: federated']);
});

it('that fails costs the copy and nothing else', async () => {
  const trainers = { north: makeTrainer(), south: makeTrainer() };
  const train = trainers.south.train.bind(trainers.south);
  trainers.south.train = (request) =>
    request.run.endsWith('-own') ? Promise.reject(new Error('no memory')) : train(request);
  federation = await foundFederation(root, trainers);
  const run = await federation.propose(plan);
  await federation.adapters(run);
  const again = await federation.propose(makePlan({ ...changes, name: 'next' }));
  expect((await federation.adapters(again)).length).toBe(2);
});

it('is plain training with the plan’s steps and rate', () => {
  const steered = makePlan({
    federation: { strategy: { name: 'scaffold' }, rounds: 3 },
    personal: { steps: 2, learningRate: 1e-5 },
  });
  expect(ownTraining(steered, 'north')).toMatchObject({
    ...{ round: 3, learningRate: 1e-5, controls: null, seedParts: [7, 'personal', 'north'] },
    plan: { training: { steps: 2 }, federation: { strategy: { name: 'fedavg' } } },
  });
  expect(ownTraining(makePlan(), 'north')).toBeNull();
});
