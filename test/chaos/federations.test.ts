/** @file A site in two federations is killed (SIGKILL) while both train; each run ends as if nothing else had been. */

import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { initHub } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import { askSite } from '../../core/site/ask.ts';
import { smallPlan } from '../helpers/federation.ts';
import {
  daemon,
  keptAdapter,
  makeTemplate,
  prepareSite,
  propose,
  record,
  removeFolders,
  temporaryFolder,
} from './federation.ts';
import type { Daemon } from './federation.ts';

afterAll(removeFolders);

/** SCAFFOLD, so that a site carries something of its own from round to round. */
const plans = [1, 2].map((seed) => ({
  ...smallPlan({ rounds: 2, minSites: 2, strategy: { name: 'scaffold' } }),
  seed,
}));

async function withDaemons<T>(words: readonly (readonly string[])[], work: (begun: Daemon[]) => Promise<T>) {
  const begun = words.map((each) => daemon(each));
  try {
    return await work(begun);
  } finally {
    await Promise.all(begun.map(({ stop }) => stop()));
  }
}

/** What a run has come to, but for its name. */
async function endingOf(hub: string, run: string, site: string, kept = run) {
  const adapter = await keptAdapter(site, kept);
  return { ...(await record(hub, run)), adapter };
}

it('runs of two hubs end with the bytes that each would have ended with alone', async () => {
  const first = await makeTemplate(['north', 'south']);
  const [hub, south] = [join(first, 'hub'), join(first, 'south')];
  // Both plans one after the other, in one federation: what a run makes depends on no name of it.
  const alone = await makeTemplate(['north', 'south']);
  const endings = await withDaemons(
    ['hub', 'north', 'south'].map((name) => [name === 'hub' ? 'hub' : 'site', join(alone, name)]),
    async () => {
      const found = [];
      for (const [index, plan] of plans.entries()) {
        const run = await propose(join(alone, 'hub'), { ...plan, name: `plan-${index}` });
        found.push(await endingOf(join(alone, 'hub'), run, join(alone, 'south')));
      }
      return found;
    },
  );

  const second = temporaryFolder();
  const otherHub = join(second, 'hub');
  await initHub({ folder: otherHub, name: 'clinics' });
  const founding = await startHub({ folder: otherHub });
  const invite = async (site: string) => (await founding.ask('invite', { site })).invitation;
  await prepareSite(join(second, 'north'), await invite('north'), 'north');
  const options = { folder: south, software: 'tributary chaos' };
  await askSite(options, 'join', { invitation: await invite('south') });
  await askSite(options, 'approve', { standing: true, dataset: 'rows', federation: 'clinics (2)' });
  await founding.stop();

  const shared = daemon(['site', south], {
    crashes: ['update-written 2', 'keep-update:after 1', 'save-adapter:before 1'],
  });
  try {
    const words = [
      ['hub', hub],
      ['site', join(first, 'north')],
      ['hub', otherHub],
      ['site', join(second, 'north')],
    ];
    await withDaemons(words, async () => {
      const run = await propose(hub, plans[0]);
      expect(await propose(otherHub, plans[1])).toBe(run);
      expect(await endingOf(hub, run, south)).toEqual(endings[0]);
      expect(await endingOf(otherHub, run, south, `${run}@2`)).toEqual(endings[1]);
      await shared.crashed;
    });
    expect(endings[0].adapter).not.toBe(endings[1].adapter);
  } finally {
    await shared.stop();
  }
  expect(await verifyLedger(south)).toMatchObject({ verified: true });
}, 240_000);
