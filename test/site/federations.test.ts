/** @file One site in two federations at once: their hubs know nothing of each other, and its machine serves both. */

import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { askSite } from '../../core/site/ask.ts';
import type { OfficeCommand, OfficeRequest } from '../../core/site/office.ts';
import type { Site } from '../../core/site/site.ts';
import { removeFolder } from '../helpers/folders.ts';
import { importRows, makePlan, makeTrainer, SOFTWARE, start } from '../helpers/site.ts';
import type { FakeTrainer } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';
import { foundFederation } from '../helpers/whole.ts';
import type { WholeFederation } from '../helpers/whole.ts';

/** Both hubs call their federation so, and their first run `clinics-1`. */
const [FIRST, SECOND] = ['clinics', 'clinics (2)'];
const RUN = 'clinics-1';
const plans = [7, 8].map((seed) =>
  makePlan({ seed, federation: { rounds: 3, minSites: 2 }, training: { steps: 2 } }),
);

let root: string;
let both: WholeFederation[];
let trainer: FakeTrainer;
/** Seeds of the plans that were trained, in order, and how many trainings there were at once. */
let trained: number[];
let atOnce: number;
let site: Site | undefined;
let saved: Map<string, NamedTensors>;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-federations-'));
  both = [];
  for (const [index, name] of ['north', 'south'].entries())
    both.push(await foundFederation(join(root, `federation-${index + 1}`), { [name]: makeTrainer() }));
  trainer = makeTrainer();
  trained = [];
  atOnce = 0;
  saved = new Map();
  let now = 0;
  const train = trainer.train.bind(trainer);
  trainer.train = async (request) => {
    trained.push(request.plan.seed);
    atOnce = Math.max(atOnce, ++now);
    try {
      await setTimeout(20);
      request.signal.throwIfAborted();
      return await train(request);
    } finally {
      now--;
    }
  };
  await importRows(shared(), 12);
});
afterEach(async () => {
  await site?.stop();
  site = undefined;
  for (const federation of both) await federation.stop();
  await removeFolder(root);
});

const shared = (): string => join(root, 'shared');

function ask<C extends OfficeCommand>(command: C, request: OfficeRequest<C>) {
  return askSite({ folder: shared(), software: SOFTWARE }, command, request);
}

async function joinBoth(): Promise<void> {
  for (const [index, federation] of both.entries()) {
    const { invitation } = await federation.hub().ask('invite', { site: 'shared' });
    await ask('join', { invitation });
    await ask('approve', { standing: true, dataset: 'notes', federation: [FIRST, SECOND][index] });
  }
}

async function open(): Promise<void> {
  site = await start(shared(), trainer, {
    saveAdapter: (run, _plan, tensors) => {
      saved.set(run, tensors);
      return Promise.resolve();
    },
  });
}

const statesOf = async (): Promise<string[]> =>
  (await ask('status', {})).federations.map(({ state }) => state);

it('runs the rounds of both in turn, and keeps runs of one name apart', async () => {
  await joinBoth();
  await open();
  const runs = await Promise.all(both.map((federation, index) => federation.propose(plans[index])));
  expect(runs).toEqual([RUN, RUN]);
  const [north, south] = await Promise.all(both.map((federation) => federation.adapters(RUN)));
  await until(() => expect([...saved.keys()].sort()).toEqual([RUN, `${RUN}@2`]));
  expect([saved.get(RUN), saved.get(`${RUN}@2`)]).toEqual([north[0], south[0]]);
  expect(north).not.toEqual(south);
  expect(trained.toSorted()).toEqual([7, 7, 7, 8, 8, 8]);
  expect(atOnce).toBe(1);
  const [one, other] = [7, 8].map((seed) => [trained.indexOf(seed), trained.lastIndexOf(seed)]);
  expect(Math.max(one[0], other[0]), trained.join()).toBeLessThan(Math.min(one[1], other[1]));

  const { runs: known, federations, leftThisMachine } = await ask('status', {});
  expect(known.map(({ id, federation, state }) => [id, federation, state])).toEqual([
    [RUN, FIRST, 'completed'],
    [RUN, SECOND, 'completed'],
  ]);
  const sum = federations.reduce((bytes, each) => bytes + each.leftThisMachine.bytes, 0);
  expect(leftThisMachine.bytes).toBe(sum);
  await expect(ask('resumeRun', { run: RUN })).rejects.toMatchObject({ code: 'site.several-federations' });
  await expect(ask('resumeRun', { run: RUN, federation: SECOND })).rejects.toMatchObject({
    code: 'site.unknown-run',
    message: `The run ${RUN} has ended (completed).`,
  });
  expect(await verifyLedger(shared())).toMatchObject({ verified: true });
});

it('goes on for one while the other’s hub is away with an update on its way, and says whose turn it is', async () => {
  await joinBoth();
  trainer.hold = true;
  await open();
  await both[0].propose(plans[0]);
  await until(() => expect(trained).toEqual([7]));
  await both[1].propose(plans[1]);
  await until(async () => {
    const second = await ask('status', { federation: SECOND });
    expect([second.phase, second.reason]).toEqual(['training', `This machine computes for ${FIRST} first.`]);
  });
  await both[0].hub().stop();
  trainer.release();
  await both[1].adapters(RUN);
  await until(() => expect([...saved.keys()]).toEqual([`${RUN}@2`]));
  expect(await ask('status', { federation: FIRST })).toMatchObject({ state: 'offline', phase: 'sending' });
  // What was trained for the first is still sent when its hub is back.
  await both[0].startHub();
  await both[0].adapters(RUN);
  expect(trained.filter((seed) => seed === 7)).toHaveLength(3);
});

it('joins a second one while it runs, and leaves it again; the first goes on', async () => {
  const [first, second] = both;
  const invite = (federation: WholeFederation) => federation.hub().ask('invite', { site: 'shared' });
  await ask('join', await invite(first));
  await ask('approve', { standing: true, dataset: 'notes' });
  await open();
  const { invitation } = await invite(second);
  expect(await ask('join', { invitation })).toMatchObject({ federation: SECOND });
  await until(async () => expect(await statesOf()).toEqual(['idle', 'idle']));
  // What was approved for every plan of the first is not approved for the second.
  await second.propose(plans[1]);
  await until(async () => expect(await statesOf()).toEqual(['idle', 'awaiting-approval']));
  trainer.hold = true;
  await ask('approve', { run: RUN, dataset: 'notes' });
  await until(() => expect(trained).toEqual([8]));

  const files = (name: string): boolean => existsSync(join(shared(), name));
  expect(['blobs', 'federations/2/blobs'].map(files)).toEqual([true, true]);
  expect(await ask('leave', { federation: SECOND })).toEqual({ federation: SECOND });
  expect(['blobs', 'federations/2/blobs'].map(files)).toEqual([true, false]);
  await first.propose(plans[0]);
  await until(() => expect(trained).toEqual([8, 7]));
  trainer.release();
  await first.adapters(RUN);
  await until(() => expect([...saved.keys()]).toEqual([RUN]));
  expect((await ask('status', {})).federations).toMatchObject([{ federation: FIRST, state: 'idle' }]);
  await expect(ask('leave', {})).rejects.toMatchObject({ code: 'folder.locked' });
});

it('is revoked by one hub and stays a member at the other', async () => {
  await joinBoth();
  await open();
  await until(async () => expect(await statesOf()).toEqual(['idle', 'idle']));
  await both[1].hub().ask('revoke', { site: 'shared' });
  await until(async () => expect(await statesOf()).toEqual(['idle', 'revoked']));
  await both[0].propose(plans[0]);
  await both[0].adapters(RUN);
  expect(trained).toEqual([7, 7, 7]);
});

it('changes its keys hub by hub: each knows the new ones or the old ones until all know the new ones', async () => {
  await joinBoth();
  const [before] = (await ask('status', {})).federations.map((each) => each.siteFingerprint);
  await both[1].hub().stop();
  await expect(ask('rotateKeys', {})).rejects.toMatchObject({ code: 'hub.unreachable' });
  const prints = (await ask('status', {})).federations.map((each) => each.siteFingerprint);
  expect(prints[0]).not.toBe(before);
  expect(prints[1]).toBe(before);

  await open();
  await until(async () => expect(await statesOf()).toEqual(['idle', 'offline']));
  await both[1].startHub();
  await until(async () => expect(await statesOf()).toEqual(['idle', 'idle']));
  const after = (await ask('status', {})).federations.map((each) => each.siteFingerprint);
  expect(after).toEqual([prints[0], prints[0]]);
  expect(site?.context.store.keys()).toEqual({ generation: 1, pending: false });
  for (const [index, federation] of both.entries()) await federation.propose(plans[index]);
  await until(() => expect([...saved.keys()].sort()).toEqual([RUN, `${RUN}@2`]));
  expect(await verifyLedger(shared())).toMatchObject({ verified: true });
});
