/** @file A person's no against a scripted hub: declined, paused, given up, now or after the round, and taken back. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askSite } from '../../core/site/ask.ts';
import type { Site } from '../../core/site/site.ts';
import { SITE_TRANSITIONS } from '../../core/site/store.ts';
import type { SiteCrashPoint } from '../../core/site/store.ts';
import { removeFolder } from '../helpers/folders.ts';
import { makePlan, makeSiteFolder, makeTrainer, openScriptedHub, SOFTWARE, start } from '../helpers/site.ts';
import type { FakeTrainer, ScriptedHub } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';

let root: string;
let folder: string;
let hub: ScriptedHub;
let trainer: FakeTrainer;
let site: Site | undefined;
const plan = makePlan();
const run = 'clinics-1';

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-holding-'));
  folder = join(root, 'site');
  hub = await openScriptedHub(root);
  await makeSiteFolder(hub, folder);
  trainer = makeTrainer();
});
afterEach(async () => {
  trainer.release();
  await site?.stop();
  site = undefined;
  await hub.listener.close();
  await removeFolder(root);
});

const ask: (...request: [Parameters<typeof askSite>[1], object]) => Promise<unknown> = (command, request) =>
  askSite({ folder, software: SOFTWARE }, command, request as never);

/** A site whose standing approval takes every plan. */
async function up(crashPoint?: SiteCrashPoint): Promise<Site> {
  await ask('approve', { standing: true, dataset: 'notes' });
  return again(crashPoint);
}

/** The same site after its process has ended. */
async function again(crashPoint?: SiteCrashPoint): Promise<Site> {
  await site?.stop();
  const [control, bulk] = [hub.control.length, hub.bulk.length];
  site = await start(folder, trainer, { crashPoint });
  await until(() => {
    expect(hub.control.length).toBeGreaterThan(control);
    expect(hub.bulk.length).toBeGreaterThan(bulk);
  });
  return site;
}

/** A run that is approved and trains its first round, in which it waits. */
async function training(): Promise<Site> {
  const running = await up();
  hub.propose(plan);
  await hub.message('approval');
  trainer.hold = true;
  await hub.roundStart(plan, 0);
  await until(() => expect(trainer.requests).toHaveLength(1));
  return running;
}

const closed = async (round: number) => ({
  ...{ type: 'round-closed' as const, run, round },
  ...{ aggregate: await hub.publish([9, 9, 9, 9]), cohort: ['clinic-a'], loss: 2 },
  ledgerEntry: { index: 4 + round, hash: 'cd'.repeat(32) },
});

describe('a run that a person declines', () => {
  it('stays declined although every plan is approved, also after a restart, until it is approved again', async () => {
    await up();
    hub.propose(plan);
    await hub.message('approval');
    await ask('decline', { run, reason: 'We change our system this week.' });
    expect(await hub.message('decline')).toMatchObject({
      code: 'site.declined',
      reason: 'We change our system this week.',
    });
    await again();
    hub.propose(plan);
    expect(await hub.message('decline', 2)).toMatchObject({ code: 'site.declined' });
    expect(hub.heard.filter(({ type }) => type === 'approval')).toHaveLength(1);
    await ask('approve', { run, dataset: 'notes' });
    await hub.message('approval', 2);
  });

  it('cannot be one that nobody knows', async () => {
    await up();
    await expect(ask('decline', { run: 'nothing-1' })).rejects.toMatchObject({ code: 'site.unknown-run' });
  });
});

describe('a run that a person stops', () => {
  it('at once ends its training and goes on when it is resumed', async () => {
    const running = await training();
    await ask('hold', { run, how: 'save' });
    expect(await hub.message('decline')).toMatchObject({ code: 'site.paused' });
    await until(() => expect(running.status().phase).toBeNull());
    expect(hub.heard.filter(({ type }) => type === 'update')).toEqual([]);
    trainer.release();
    await ask('resume', { run });
    await hub.message('approval', 2);
    await hub.roundStart(plan, 0);
    await hub.message('update');
  });

  it('after its round still sends the update and pauses when the round is closed', async () => {
    const running = await training();
    await ask('hold', { run, how: 'finish-round' });
    trainer.release();
    const { round, blob } = await hub.message('update');
    expect(hub.heard.filter(({ type }) => type === 'decline')).toEqual([]);
    hub.send({ type: 'update-accepted', run, round, hash: blob.hash, state: 'committed' });
    hub.send(await closed(round));
    expect(await hub.message('decline')).toMatchObject({ code: 'site.paused' });
    expect(running.context.store.run(run)).toMatchObject({ held: 'paused', state: 'declined' });
  });

  it('after its round trains no other one where the end of the round was not heard', async () => {
    await training();
    await ask('hold', { run, how: 'finish-round' });
    trainer.release();
    await hub.message('update');
    await hub.roundStart(plan, 1);
    expect(await hub.message('decline')).toMatchObject({ code: 'site.paused' });
    expect(trainer.requests).toHaveLength(1);
  });

  it('for good leaves it, and the standing approval does not take it up again', async () => {
    await training();
    await ask('hold', { run, how: 'discard' });
    expect(await hub.message('decline')).toMatchObject({ code: 'site.discarded' });
    hub.propose(plan);
    expect(await hub.message('decline', 2)).toMatchObject({ code: 'site.discarded' });
  });
});

it.each(['before', 'after'])('a process that ends %s the transition can do the same again', async (when) => {
  expect(SITE_TRANSITIONS).toContain('hold');
  const dying: SiteCrashPoint = (point) => {
    if (point === `hold:${when}`) throw new Error('the process ends');
  };
  await up(dying);
  hub.propose(plan);
  await hub.message('approval');
  await expect(ask('hold', { run, how: 'save' })).rejects.toThrow();
  const running = await again();
  expect(running.context.store.run(run)?.held).toBe(when === 'after' ? 'paused' : null);
  await ask('hold', { run, how: 'save' });
  await until(() => expect(running.context.store.run(run)).toMatchObject({ held: 'paused' }));
  hub.propose(plan);
  await until(() => {
    const last = hub.heard.filter(({ type }) => type === 'decline').at(-1);
    expect(last).toMatchObject({ code: 'site.paused' });
  });
});
