/** @file A dataset is withdrawn, at a site that is at work on it against a scripted hub. */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { askSite } from '../../core/site/ask.ts';
import type { Site } from '../../core/site/site.ts';
import { planWithdrawal, withdrawDataset } from '../../core/site/withdrawal.ts';
import { removeFolder } from '../helpers/folders.ts';
import {
  federationOf,
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
let site: Site;
const plan = makePlan();

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-withdrawal-'));
  folder = join(root, 'site');
  hub = await openScriptedHub(root);
  await makeSiteFolder(hub, folder);
  trainer = makeTrainer();
  const [control, bulk] = [hub.control.length, hub.bulk.length];
  site = await start(folder, trainer);
  await until(() => {
    expect(hub.control.length).toBeGreaterThan(control);
    expect(hub.bulk.length).toBeGreaterThan(bulk);
  });
});
afterEach(async () => {
  trainer.release();
  await site.stop();
  await hub.listener.close();
  await removeFolder(root);
});

const ask: (...request: [Parameters<typeof askSite>[1], object]) => Promise<unknown> = (command, request) =>
  askSite({ folder, software: SOFTWARE }, command, request as never);

async function approved(): Promise<string> {
  const { run } = hub.propose(plan);
  await until(() => expect(site.status()).toMatchObject({ state: 'awaiting-approval', run }));
  await ask('approve', { run, dataset: 'notes' });
  await hub.message('approval');
  return run;
}

it('says first what it would do, and does nothing', async () => {
  const run = await approved();
  const before = planWithdrawal(site.context, 'notes');
  expect(before).toMatchObject({ rows: 12, runs: [run], adapters: [], standing: false });
  expect(before.sentences.join(' ')).toContain(`These runs end at this site: ${run}.`);
  expect(before.sentences.join(' ')).toContain('No adapter has learned from it.');
  expect(site.context.vault.dataset('notes').rows).toBe(12);
  expect(federationOf(site).store.run(run)?.state).toBe('approved');
});

it('deletes the rows, ends the run under way, tells the hub nothing of the data, and names what has learned', async () => {
  const run = await approved();
  await hub.roundStart(plan, 0);
  await hub.message('update');
  const done = withdrawDataset(site.context, site.agents, 'notes');
  expect(done).toMatchObject({ runs: [run], adapters: [{ run, path: null }] });
  const decline = await hub.message('decline');
  expect(decline).toMatchObject({ run, code: 'site.data-withdrawn' });
  expect(decline.reason).not.toContain('notes');
  const { vault } = site.context;
  const { store } = federationOf(site);
  expect(store.run(run)?.state).toBe('declined');
  expect(store.approvedDataset(run)).toBeNull();
  expect(vault.datasets()).toEqual([]);
  await site.stop();
  expect(await verifyLedger(folder)).toMatchObject({ verified: true });
});

it('counts adapters of this dataset alone, also when its name comes again', async () => {
  const run = await approved();
  await hub.roundStart(plan, 0);
  await hub.message('update');
  withdrawDataset(site.context, null, 'notes');
  expect(federationOf(site).store.run(run)?.state).toBe('declined');
  const file = join(root, 'again.jsonl');
  writeFileSync(file, '{"question":"q","answer":"a"}\n');
  await ask('import', { file, as: 'notes' });
  expect(planWithdrawal(site.context, 'notes')).toMatchObject({ rows: 1, adapters: [], runs: [] });
});

it('is finished when the program died between the ledger and the rows', async () => {
  const { vault } = site.context;
  const { store } = federationOf(site);
  const { id, reference } = vault.dataset('notes');
  store.transaction('withdraw-data', () =>
    store.ledger.append('data-withdrawal', { id, dataset: reference }),
  );
  await site.stop();
  site = await start(folder, trainer);
  expect(site.context.vault.datasets()).toEqual([]);
});

it('keeps an approved run with the version that was approved', async () => {
  const run = await approved();
  const file = join(root, 'more.jsonl');
  writeFileSync(file, '{"question":"q","answer":"a"}\n'.repeat(50));
  await ask('import', { file, as: 'notes', newVersion: true });
  expect(federationOf(site).store.run(run)).toMatchObject({ dataset: 'notes@1', examples: 12 });
  await hub.roundStart(plan, 0);
  await hub.message('update');
  expect(trainer.requests[0].examples).toHaveLength(12);
});

it('is refused for a dataset of whose rows the plan would train no token', async () => {
  const file = join(root, 'long.jsonl');
  writeFileSync(file, `${JSON.stringify({ question: 'why '.repeat(400), answer: 'so' })}\n`.repeat(20));
  await ask('import', { file, as: 'long' });
  const tiny = makePlan({ model: { id: 'tiny', sha256: plan.model.sha256 }, training: { maxLength: 64 } });
  const { run } = hub.propose(tiny);
  await until(() => expect(site.status()).toMatchObject({ state: 'awaiting-approval', run }));
  await expect(ask('approve', { run, dataset: 'long' })).rejects.toMatchObject({
    code: 'data.all-truncated',
  });
  expect(federationOf(site).store.run(run)?.state).toBe('proposed');
});
