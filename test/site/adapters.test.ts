/** @file The adapters of a site's folder: of runs, also after the site has left, and what is no adapter. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { encodePlan, planHash } from '../../core/federation/plan.ts';
import type { Plan } from '../../core/federation/plan.ts';
import { writeAdapter } from '../../core/model/adapter.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { openModel } from '../../core/model/open.ts';
import { siteAdapter, siteAdapters } from '../../core/site/adapters.ts';
import type { SiteContext } from '../../core/site/context.ts';
import { closeSiteFolder, openFederation, openSiteFolder } from '../../core/site/folder.ts';
import { adapterFolder } from '../../core/site/saved-adapters.ts';
import { codeOf } from '../helpers/errors.ts';
import { enterFederation, federationOf, makePlan } from '../helpers/site.ts';

let folder: string;
let site: SiteContext;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-adapters-'));
  site = await openSiteFolder({ folder, log: pino({ level: 'silent' }) });
  await openFederation(site, enterFederation(site.store));
});
afterEach(() => {
  closeSiteFolder(site);
  rmSync(folder, { recursive: true });
});

/** A run of which this site trained the first of two rounds and was late for the second. */
async function completed(run: string, plan: Plan): Promise<void> {
  const tiny = await openModel('tiny');
  const configuration = { rank: 3, alpha: 6, targets: ['q_proj'] };
  const tensors = initialAdapter(tiny.configuration, configuration, 1);
  await writeAdapter(adapterFolder(folder, run), { configuration, tensors }, tiny);
  const { store } = federationOf({ context: site });
  const blob = { hash: 'cd'.repeat(32), size: 4 };
  store.transaction('take-proposal', () => {
    store.putRun(run, encodePlan(plan), planHash(plan));
    store.setApproved(run, 'letters', 40);
    for (const [round, phase] of (['committed', 'late'] as const).entries()) {
      store.beginRound({ run, round, base: blob, control: null, learning_rate: 0.1 });
      store.setTrained(run, round, { blob, examples: 37 + round, loss: 2 - round, metrics: {} }, {});
      store.setPhase(run, round, phase);
    }
  });
}

it('say how they came about, by the rounds that counted', async () => {
  await completed('r1', makePlan({ federation: { rounds: 2 }, training: { template: 'alpaca' } }));
  const { store } = federationOf({ context: site });
  expect(siteAdapters(site)).toMatchObject([
    {
      ...{ run: 'r1', name: 'clinics', kind: 'federated', model: { id: 'tiny' }, reference: 'tiny' },
      ...{
        rank: 3,
        rounds: 2,
        dataset: 'letters',
        examples: 37,
        loss: 2,
        baseLoss: null,
        template: 'alpaca',
      },
    },
  ]);
  store.transaction('leave', () => store.leave());
  expect(siteAdapter(site, 'r1')).toMatchObject({
    name: 'r1',
    rounds: null,
    dataset: null,
    loss: null,
    rank: 3,
  });
});

it('are the site’s own where the strategy shares nothing', async () => {
  await completed('r1', makePlan({ federation: { rounds: 2, strategy: { name: 'local' } } }));
  expect(siteAdapter(site, 'r1').kind).toBe('local');
});

it('are not made up of folders that hold none', () => {
  for (const path of ['adapters/r1', 'alone/alone-1']) mkdirSync(join(folder, path), { recursive: true });
  writeFileSync(join(folder, 'adapters/r1/adapter_config.json'), '{}');
  expect(siteAdapters(site)).toEqual([]);
  expect(codeOf(() => siteAdapter(site, 'r1'))).toBe('results.unknown');
});
