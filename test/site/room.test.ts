/** @file The bytes that a site's folder may take: imports and rounds that would make it larger are refused. */

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { askSite } from '../../core/site/ask.ts';
import { DEFAULT_POLICY } from '../../core/site/policy.ts';
import { requireRoom } from '../../core/site/room.ts';
import type { Site } from '../../core/site/site.ts';
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
let machinePolicy: string;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-room-'));
  folder = join(root, 'site');
  machinePolicy = join(root, 'policy.json');
  hub = await openScriptedHub(root);
  await makeSiteFolder(hub, folder);
  trainer = makeTrainer();
  const control = hub.control.length;
  site = await start(folder, trainer, { machinePolicy });
  await until(() => expect(hub.control.length).toBeGreaterThan(control));
});
afterEach(async () => {
  await site.stop();
  await hub.listener.close();
  await removeFolder(root);
});

/** The machine's owner leaves so many bytes beyond what is there. */
async function leave(bytes: number): Promise<void> {
  const used = DEFAULT_POLICY.maxFolderBytes - (await requireRoom(site.context, 0));
  writeFileSync(machinePolicy, JSON.stringify({ version: 1, maxFolderBytes: used + bytes }));
}

const importFile = (content: string, options: object = {}): Promise<unknown> => {
  const file = join(root, 'rows.jsonl');
  writeFileSync(file, content);
  return askSite({ folder, software: SOFTWARE }, 'import', { file, as: 'large', ...options });
};
const rowsOf = (count: number): string =>
  Array.from({ length: count }, (_, row) => {
    const text = `${row} `.padEnd(1000, 'words ');
    return `${JSON.stringify({ question: text, answer: text })}\n`;
  }).join('');

it('counts every file of the folder, however deep', async () => {
  const before = await requireRoom(site.context, 0);
  mkdirSync(join(folder, 'a/b'), { recursive: true });
  writeFileSync(join(folder, 'a/b/file'), new Uint8Array(12_345));
  expect(before - (await requireRoom(site.context, 0))).toBe(12_345);
});

it('counts no file that others are written over', async () => {
  const { blobs } = federationOf(site);
  await blobs.put(new Uint8Array(12_345));
  const before = await requireRoom(site.context, 0);
  await blobs.collectGarbage(new Set(), { goesOn: true });
  expect(await requireRoom(site.context, 0)).toBe(before + 12_345);
});

it('refuses an import whose file is larger than what the machine’s owner leaves', async () => {
  await leave(100_000);
  await expect(importFile(rowsOf(200))).rejects.toMatchObject({ code: 'policy.folder-size' });
  expect(site.context.vault.datasets().map(({ name }) => name)).toEqual(['notes']);
  await leave(10_000_000);
  await importFile(rowsOf(200));
  expect(site.context.vault.dataset('large').rows).toBe(200);
});

it('stops an import whose rows turn out larger than its file, and keeps nothing of it', async () => {
  const content = rowsOf(200);
  await leave(content.length + 100_000);
  const thrice = { prompt: '{question} {question} {question}', response: '{answer}' };
  const imported = importFile(content, { mapping: { kind: 'text-template', template: thrice } });
  await expect(imported).rejects.toMatchObject({
    code: 'policy.folder-size',
    message: expect.stringContaining('Its rows take more') as string,
  });
  expect(site.context.vault.datasets().map(({ name }) => name)).toEqual(['notes']);
});

it('declines a run before a round for which there is no room, without telling the hub how much', async () => {
  const plan = makePlan();
  const { run } = hub.propose(plan);
  await until(() => expect(site.status()).toMatchObject({ state: 'awaiting-approval', run }));
  await askSite({ folder, software: SOFTWARE }, 'approve', { run, dataset: 'notes' });
  await hub.message('approval');
  await leave(0);
  await hub.roundStart(plan, 0);
  const { code, reason } = await hub.message('decline');
  expect(code).toBe('policy.folder-size');
  expect(reason).not.toMatch(/\d{3}/);
  expect(trainer.requests).toEqual([]);
});
