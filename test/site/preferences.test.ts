/** @file A site and runs with dpo: which datasets serve, which reference is kept, and what the hub is told. */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBlobStore } from '../../core/federation/blobs.ts';
import { pinPlan, readPlan } from '../../core/federation/plan.ts';
import type { AdapterStart, Plan } from '../../core/federation/plan.ts';
import { askSite } from '../../core/site/ask.ts';
import type { Site } from '../../core/site/site.ts';
import { removeFolder } from '../helpers/folders.ts';
import {
  adapterOf,
  importPairs,
  makePlan,
  makeSiteFolder,
  makeTrainer,
  openScriptedHub,
  SOFTWARE,
  start,
} from '../helpers/site.ts';
import type { FakeTrainer, ScriptedHub } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';

let root: string;
let folder: string;
let hub: ScriptedHub;
let trainer: FakeTrainer;
let site: Site | undefined;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-pairs-'));
  folder = join(root, 'site');
  hub = await openScriptedHub(root);
  await makeSiteFolder(hub, folder); // with the dataset "notes" of 12 conversations
  await importPairs(folder, 9);
  trainer = makeTrainer();
});
afterEach(async () => {
  trainer.release();
  await site?.stop();
  site = undefined;
  await hub.listener.close();
  await removeFolder(root);
});

const ask = (...[command, request]: [Parameters<typeof askSite>[1], object]): Promise<unknown> =>
  askSite({ folder, software: SOFTWARE }, command, request as never);

async function up(dataset?: string): Promise<Site> {
  if (dataset !== undefined) await ask('approve', { standing: true, dataset });
  const [control, bulk] = [hub.control.length, hub.bulk.length];
  site = await start(folder, trainer);
  await until(() => {
    expect(hub.control.length).toBeGreaterThan(control);
    expect(hub.bulk.length).toBeGreaterThan(bulk);
  });
  return site;
}

function planFrom(started: AdapterStart, objective: 'sft' | 'dpo' = 'dpo'): Plan {
  const text = JSON.stringify({ name: 'clinics', model: 'tiny', objective });
  return pinPlan(readPlan(text), { id: 'tiny', sha256: 'ab'.repeat(32) }, started);
}

describe('the dataset of a run', () => {
  it.each([
    ['dpo', 'notes', 'a preference pair'],
    ['sft', 'pairs', 'a conversation'],
  ])(
    'that %s cannot use is declined before the first round, by its kind alone',
    async (objective, dataset, kind) => {
      await up(dataset);
      hub.propose(makePlan({ objective }));
      const decline = await hub.message('decline');
      expect(decline.code).toBe('data.wrong-kind');
      expect(decline.reason).toContain(objective);
      expect(decline.reason).toContain(kind);
      expect(decline.reason).not.toContain(dataset);
      expect(hub.heard.filter(({ type }) => type === 'approval')).toEqual([]);
    },
  );

  it('can be approved by hand after another was of the wrong kind', async () => {
    await up('notes');
    const { run } = hub.propose(makePlan({ objective: 'dpo' }));
    await hub.message('decline');
    await expect(ask('approve', { run, dataset: 'notes' })).rejects.toMatchObject({
      code: 'data.wrong-kind',
    });
    await ask('approve', { run, dataset: 'pairs' });
    expect(await hub.message('approval')).toMatchObject({ run, examples: 9 });
  });

  it('counts the rows of the kind that the objective needs', async () => {
    const file = join(root, 'mixed.jsonl');
    const pair = (row: number) => ({ frage: `f${row}`, gut: `ja ${row}`, schlecht: `nein ${row}` });
    const pairs = Array.from({ length: 10 }, (_, row) => JSON.stringify(pair(row)));
    writeFileSync(file, `${pairs.join('\n')}\n`);
    const map = { prompt: 'frage', chosen: 'gut', rejected: 'schlecht' };
    expect(await ask('import', { file, as: 'mapped', map })).toMatchObject({ rows: 10, skipped: 0 });
    await up('mapped');
    const plan = makePlan({ objective: 'dpo' });
    hub.propose(plan);
    expect((await hub.message('approval')).examples).toBe(10);
    await hub.roundStart(plan, 0);
    await hub.message('update');
    expect(trainer.requests[0].examples[1]).toEqual({
      kind: 'preference',
      prompt: [{ role: 'user', content: 'f1' }],
      chosen: 'ja 1',
      rejected: 'nein 1',
    });
    expect(trainer.requests[0].reference).toBeNull();
  });
});

describe('an update on pairs', () => {
  const plan = makePlan({ objective: 'dpo' });

  async function update() {
    await up('pairs');
    hub.propose(plan);
    await hub.message('approval');
    await hub.roundStart(plan, 1);
    return hub.message('update');
  }

  it('says how far the site tells them apart', async () => {
    expect((await update()).metrics).toEqual({
      supervisedTokens: 99,
      skippedRows: 0,
      preferenceAccuracy: 0.75,
      preferenceMargin: 1.5,
    });
  });

  it('says no more than the policy lets leave', async () => {
    await ask('policy', { set: { version: 1, metrics: ['preferenceAccuracy'] } });
    expect((await update()).metrics).toEqual({ preferenceAccuracy: 0.75 });
  });
});

describe('a run that starts from an adapter', () => {
  it('keeps it as the reference of pairs through every round and a restart', async () => {
    const started = await hub.publish([0, 1, 2, 3]);
    const plan = planFrom(started);
    await up('pairs');
    hub.propose(plan);
    await hub.message('approval');
    const { run, base } = await hub.roundStart(plan, 0);
    expect(base).toEqual(started);
    const { blob } = await hub.message('update');
    hub.send({ type: 'update-accepted', run, round: 0, hash: blob.hash, state: 'committed' });
    await until(() => expect(site?.status().state).toBe('ready'));
    expect(trainer.requests[0].reference).toEqual(adapterOf([0, 1, 2, 3]));
    await site?.stop();
    expect((await openBlobStore(join(folder, 'blobs'))).has(started.hash)).toBe(true);

    trainer = makeTrainer();
    await up();
    await hub.roundStart(plan, 1);
    await hub.message('update', 2);
    expect(trainer.requests[0].base).toEqual(adapterOf([1, 1, 2, 3]));
    expect(trainer.requests[0].reference).toEqual(adapterOf([0, 1, 2, 3]));
  });

  it('asks the hub for the reference again when it is gone, and when the site comes in late', async () => {
    const started = await hub.publish([0, 1, 2, 3]);
    const plan = planFrom(started);
    await up('pairs');
    hub.propose(plan);
    await hub.message('approval');
    await hub.roundStart(plan, 3);
    await hub.message('update');
    expect(trainer.requests[0].reference).toEqual(adapterOf([0, 1, 2, 3]));
    await site?.stop();
    await (await openBlobStore(join(folder, 'blobs'))).remove(started.hash);

    trainer = makeTrainer();
    await up();
    await hub.roundStart(plan, 4);
    await hub.message('update', 2);
    expect(trainer.requests[0].reference).toEqual(adapterOf([0, 1, 2, 3]));
  });

  it('has no reference where conversations are trained on', async () => {
    const plan = planFrom(await hub.publish([0, 1, 2, 3]), 'sft');
    await up('notes');
    hub.propose(plan);
    await hub.message('approval');
    await hub.roundStart(plan, 0);
    await hub.message('update');
    expect(trainer.requests[0].reference).toBeNull();
  });

  it('does not begin with another adapter than the plan pins', async () => {
    const plan = planFrom(await hub.publish([7, 7, 7, 7]));
    await up('pairs');
    hub.propose(plan);
    await hub.message('approval');
    await hub.roundStart(plan, 0);
    const decline = await hub.message('decline');
    expect(decline.code).toBe('policy.deviation');
    expect(decline.reason).toContain(plan.adapter.start?.hash);
    expect(trainer.requests).toEqual([]);
  });
});
