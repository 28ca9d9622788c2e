/** @file A person stops a run at a site and lets it go on: what the hub hears, what is kept, what begins anew. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Site } from '../../core/site/site.ts';
import { removeFolder } from '../helpers/folders.ts';
import {
  federationOf,
  makePlan,
  makeSiteFolder,
  makeTrainer,
  openScriptedHub,
  start,
} from '../helpers/site.ts';
import type { FakeTrainer, ScriptedHub } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';

const plan = makePlan();
const run = 'clinics-1';
let root: string;
let folder: string;
let hub: ScriptedHub;
let trainer: FakeTrainer;
let site: Site;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-stops-'));
  folder = join(root, 'site');
  hub = await openScriptedHub(root);
  await makeSiteFolder(hub, folder);
  trainer = makeTrainer();
  await restart();
  await site.ask('approve', { standing: true, dataset: 'notes' });
  hub.propose(plan);
  await hub.message('approval');
});
afterEach(async () => {
  trainer.release();
  await site.stop();
  await hub.listener.close();
  await removeFolder(root);
});

/** Starts the site and waits for both its sockets. */
async function restart(): Promise<void> {
  const [control, bulk] = [hub.control.length, hub.bulk.length];
  site = await start(folder, trainer, { resident: true });
  await until(() => expect([hub.control.length > control, hub.bulk.length > bulk]).toEqual([true, true]));
}

const declines = () => hub.heard.filter(({ type }) => type === 'decline').length;
const training = () => until(() => expect(site.status().phase).toBe('training'));
const resume = () => site.ask('resumeRun', { run });
const stop = (how: 'finish-round' | 'save' | 'discard' | 'decline') => site.ask('stopRun', { run, how });

it('saves within a round, is not approved again by the standing approval, and goes on when asked', async () => {
  trainer.hold = true;
  const message = await hub.roundStart(plan, 0);
  await training();
  await stop('save');
  expect(await hub.message('decline')).toMatchObject({ run, code: 'site.paused' });
  await until(() => expect(site.status()).toMatchObject({ state: 'paused', run }));
  expect(trainer.requests[0].pausing).toMatchObject({ finish: { aborted: true } });
  expect(trainer.requests[0].signal.aborted).toBe(false);

  for (const agent of site.agents.values()) agent.reconsider();
  hub.send(message);
  expect((await hub.message('decline', 3)).code).toBe('site.paused');
  expect(trainer.requests).toHaveLength(1);

  await site.stop();
  await restart();
  expect(site.status()).toMatchObject({ state: 'paused' });
  trainer.release();
  await resume();
  await hub.message('approval', 2);
  hub.send(message);
  expect(await hub.message('update')).toMatchObject({ round: 0 });
  expect(trainer.requests[1].pausing?.folder).toBe(trainer.requests[0].pausing?.folder);
});

it('goes on at once where the training that was stopped has not ended yet', async () => {
  trainer.hold = true;
  const message = await hub.roundStart(plan, 0);
  await training();
  await Promise.all([stop('save'), resume()]);
  hub.send(message);
  trainer.release();
  expect(await hub.message('update')).toMatchObject({ round: 0 });
});

it('finishes the round first where that was asked for', async () => {
  trainer.hold = true;
  await hub.roundStart(plan, 0);
  await training();
  await stop('finish-round');
  expect(site.status().state).toBe('working');
  trainer.release();
  const { blob } = await hub.message('update');
  expect(declines()).toBe(0);
  hub.send({ type: 'update-accepted', run, round: 0, hash: blob.hash, state: 'committed' });
  expect(await hub.message('decline')).toMatchObject({ code: 'site.paused' });
  await until(() => expect(site.status().state).toBe('paused'));
});

it('pauses at the next round where the end of the last was not heard', async () => {
  await hub.roundStart(plan, 0);
  await hub.message('update');
  await stop('finish-round');
  await site.stop();
  await restart();
  expect(declines()).toBe(0);
  await hub.roundStart(plan, 1);
  expect(await hub.message('decline')).toMatchObject({ code: 'site.paused' });
  expect(trainer.requests).toHaveLength(1);
});

it('pauses at once where no round is under way, and sends later what lay ready to be sent', async () => {
  await stop('finish-round');
  expect(await hub.message('decline')).toMatchObject({ code: 'site.paused' });
  await resume();
  const message = await hub.roundStart(plan, 0);
  const { blob } = await hub.message('update');
  await until(() => expect(site.status().phase).toBe('waiting'));
  await stop('save');
  await until(() => expect(site.status().state).toBe('paused'));
  await resume();
  hub.send(message);
  expect((await hub.message('update', 2)).blob).toEqual(blob);
  expect(trainer.requests).toHaveLength(1);
});

it('throws the round away when a person discards it; approving again begins it anew', async () => {
  trainer.hold = true;
  const message = await hub.roundStart(plan, 0);
  await training();
  await stop('discard');
  expect(await hub.message('decline')).toMatchObject({ code: 'site.declined' });
  await until(() => expect(trainer.requests[0].signal.aborted).toBe(true));
  await until(() => expect(site.status().state).toBe('idle'));
  expect(federationOf(site).store.round(run, 0)).toBeNull();
  trainer.release();
  await site.ask('approve', { run, dataset: 'notes' });
  hub.send(message);
  await hub.message('update');
  expect(trainer.requests).toHaveLength(2);
});

it('declines with the words of a person, in the ledger and to the hub, also before it was approved', async () => {
  hub.propose(makePlan({ seed: 9, federation: { minSites: 3 } }), 'clinics-2');
  await hub.message('approval', 2);
  await site.ask('stopRun', { run: 'clinics-2', how: 'decline', reason: 'Not this year.' });
  expect(await hub.message('decline')).toMatchObject({ code: 'site.declined', reason: 'Not this year.' });
  const [entry] = site.context.store.ledger.page(null, 1).entries;
  expect(entry).toMatchObject({
    kind: 'refusal',
    body: { run: 'clinics-2', code: 'site.declined', reason: 'Not this year.' },
  });
  await expect(site.ask('stopRun', { run: 'clinics-3', how: 'save' })).rejects.toMatchObject({
    code: 'site.unknown-run',
  });
  hub.send({ type: 'run-ended', run, state: 'cancelled', reason: '', adapter: null });
  await until(() => expect(federationOf(site).store.run(run)?.state).toBe('cancelled'));
  await expect(stop('save')).rejects.toThrow('has ended');
});
