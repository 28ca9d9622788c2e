/** @file Three sites and the real hub, with a trainer that pretends: the whole way, and the same way with a crash. */

import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readTensors } from '../../core/federation/codec.ts';
import { readPlan } from '../../core/federation/plan.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import type { HubEvent } from '../../core/hub/context.ts';
import { initHub } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import type { Hub } from '../../core/hub/hub.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { askSite } from '../../core/site/ask.ts';
import type { Site } from '../../core/site/site.ts';
import { removeFolder } from '../helpers/folders.ts';
import { importPairs, importRows, makePlan, makeTrainer, SOFTWARE, start } from '../helpers/site.ts';
import type { FakeTrainer } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';

const NAMES = ['clinic-a', 'clinic-b', 'clinic-c'];
const plan = makePlan({ federation: { rounds: 3, minSites: 3 } });
let root: string;
let hub: Hub | undefined;
let sites: Map<string, Site>;
let trainers: Map<string, FakeTrainer>;
let adapters: Map<string, NamedTensors>;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tributary-federation-'));
  sites = new Map();
  trainers = new Map();
  adapters = new Map();
});
afterEach(async () => {
  for (const trainer of trainers.values()) trainer.release();
  for (const site of sites.values()) await site.stop();
  await hub?.stop();
  await removeFolder(root);
});

async function startHubAt(folder: string): Promise<void> {
  hub = await startHub({ folder, heartbeatSeconds: 1 });
}

async function startSiteNamed(home: string, name: string, hold = false): Promise<void> {
  const trainer = makeTrainer();
  trainer.hold = hold;
  trainers.set(name, trainer);
  const site = await start(join(home, name), trainer, {
    saveAdapter: (_run, _plan, tensors) => {
      adapters.set(name, tensors);
      return Promise.resolve();
    },
  });
  sites.set(name, site);
}

/** A federation in `home` whose three sites approve everything. */
async function found(home: string, hold = false): Promise<void> {
  await initHub({ folder: join(home, 'hub'), name: 'clinics' });
  await startHubAt(join(home, 'hub'));
  for (const [index, name] of NAMES.entries()) {
    const folder = join(home, name);
    const invited = (await hub?.ask('invite', { site: name })) as { invitation: string };
    await askSite({ folder, software: SOFTWARE }, 'join', { invitation: invited.invitation });
    await importRows(folder, 10 + index);
    await askSite({ folder, software: SOFTWARE }, 'approve', { standing: true, dataset: 'notes' });
    await startSiteNamed(home, name, hold);
  }
  const { model, adapter } = plan;
  const { rank, alpha, targets } = adapter;
  const request = { ...plan, adapter: { rank, alpha, targets }, model: model.id };
  await hub?.ask('propose', { plan: request, model, configuration: TINY_CONFIGURATION });
}

async function untilDone(): Promise<NamedTensors> {
  await until(() => expect([...adapters.keys()].sort()).toEqual(NAMES));
  const [first, ...others] = NAMES.map((name) => adapters.get(name) ?? new Map());
  for (const other of others) expect(other).toEqual(first);
  for (const site of sites.values()) await site.stop();
  await hub?.stop();
  return first;
}

it('trains three rounds, gives every site the same adapter and leaves ledgers that verify', async () => {
  await found(root);
  const adapter = await untilDone();
  expect(adapter.size).toBeGreaterThan(0);
  for (const trainer of trainers.values())
    expect(trainer.requests.map(({ round }) => round)).toEqual([0, 1, 2]);
  const report = await verifyLedger(join(root, 'hub'), { witnesses: NAMES.map((name) => join(root, name)) });
  expect(report).toMatchObject({ verified: true, firstBroken: null });
  for (const name of NAMES) expect(await verifyLedger(join(root, name))).toMatchObject({ verified: true });
});

it('gives the very same adapter when a site and the hub are stopped in the middle', async () => {
  const calm = join(root, 'calm');
  const rough = join(root, 'rough');
  await found(calm);
  const undisturbed = await untilDone();
  adapters.clear();

  await found(rough, true);
  await until(() => expect(trainers.get('clinic-b')?.requests).toHaveLength(1));
  await sites.get('clinic-b')?.stop();
  for (const trainer of trainers.values()) trainer.release();
  await hub?.stop();
  await startHubAt(join(rough, 'hub'));
  await startSiteNamed(rough, 'clinic-b');
  expect(await untilDone()).toEqual(undisturbed);
  const report = await verifyLedger(join(rough, 'hub'), {
    witnesses: NAMES.map((name) => join(rough, name)),
  });
  expect(report).toMatchObject({ verified: true });
});

it('trains on pairs and tells the hub of every round how far they are told apart', async () => {
  const events: HubEvent[] = [];
  await initHub({ folder: join(root, 'hub'), name: 'clinics' });
  hub = await startHub({
    folder: join(root, 'hub'),
    heartbeatSeconds: 1,
    onEvent: (event) => void events.push(event),
  });
  for (const name of NAMES) {
    const folder = join(root, name);
    const invited = await hub.ask('invite', { site: name });
    await askSite({ folder, software: SOFTWARE }, 'join', { invitation: invited.invitation });
    await importPairs(folder, 10);
    await askSite({ folder, software: SOFTWARE }, 'approve', { standing: true, dataset: 'pairs' });
    await startSiteNamed(root, name);
  }
  const { model } = plan;
  const request = readPlan(
    JSON.stringify({
      name: 'pairs',
      model: 'tiny',
      objective: 'dpo',
      federation: { rounds: 2, minSites: 3 },
    }),
  );
  await hub.ask('propose', { plan: request, model, configuration: TINY_CONFIGURATION });
  await untilDone();
  const told = { preferenceAccuracy: 0.75, supervisedTokens: 297, skippedRows: 0 };
  expect(events.filter(({ type }) => type === 'round')).toMatchObject([
    { round: 0, metrics: { ...told, preferenceMargin: 0.5 } },
    { round: 1, metrics: { ...told, preferenceMargin: 1.5 } },
  ]);
});

it('leaves no blobs at a site but the adapter', async () => {
  await found(root);
  await untilDone();

  const [blob, ...others] = readdirSync(join(root, 'clinic-a', 'blobs'));
  expect(others).toEqual([]);
  expect(readTensors(join(root, 'clinic-a', 'blobs', blob))).toEqual(adapters.get('clinic-a'));
});
