/** @file The course of a run in the window: stopped and resumed, its engine killed, watched to its end; then leaving. */

import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { askSite } from '../../core/site/ask.ts';
import { en } from '../../renderer/strings/en.ts';
import { until } from '../helpers/until.ts';
import { PATIENCE } from './browser.ts';
import { foundClinics, SAMPLES } from './clinics.ts';
import type { Clinics } from './clinics.ts';
import { describeWindow, folderOf } from './launchers.ts';
import type { SiteWindow } from './launchers.ts';
import { result } from './programs.ts';
import { button, pasteInvitation, readRows, writeTable } from './steps.ts';

/** What `hub sites` gives, as far as it is looked at here. */
interface Sites {
  readonly sites: readonly { readonly fingerprint: string }[];
}

/** Enough that a round is still under way when a person stops it. */
const STEPS = 120;

/** Notes how long the page's longest task takes from now on; the browser tells of those above 50 ms. */
async function watchTasks(page: Page): Promise<() => Promise<number[]>> {
  await page.evaluate(`{
    globalThis.longTasks = [];
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) longTasks.push(duration);
    }).observe({ type: 'longtask' });
  }`);
  return async () => page.evaluate('longTasks');
}

describeWindow('the course of a run', (launcher) => {
  let clinics: Clinics;
  let window: SiteWindow;
  let site: string;

  beforeAll(async () => {
    clinics = await foundClinics();
    const home = clinics.newFolder('river');
    site = folderOf(home);
    window = await launcher.open(home);
    const { page } = window;
    const table = join(clinics.folder, 'letters.csv');
    writeTable(readRows(join(SAMPLES, 'clinic-river/train.jsonl')), table);
    await pasteInvitation(page, await clinics.invite(), 'River clinic');
    await (await button(page, en.welcome.join)).click();
    await window.connect(table);
    await (await button(page, en.data.import)).click();
    await page.getByRole('heading', { level: 1, name: 'letters', exact: true }).waitFor();
  }, PATIENCE);
  afterAll(async () => {
    await launcher.close();
    await clinics.close();
  }, PATIENCE);

  it(
    'begins with a rehearsal that waits for a person, and with keys that are changed at the site',
    async () => {
      const { page } = window;
      const rehearsal = clinics.rehearse();
      await page.getByRole('link', { name: en.shell.screens.run }).first().click();
      const rehearse = await button(page, en.rehearsal.approve);
      expect(await window.look('rehearsal')).toEqual([]);
      await rehearse.click();
      expect(await rehearsal.line('result')).toMatchObject({
        sites: [
          { name: 'North clinic', state: 'measured' },
          { name: 'River clinic', state: 'measured' },
        ],
      });
      await rehearse.waitFor({ state: 'detached' });

      await page.getByRole('link', { name: en.shell.screens.federation }).first().click();
      await (await button(page, en.federation.rotate)).click();
      expect(await window.look('keys')).toEqual([]);
      await (await button(page, en.federation.rotateNow)).click();
      await page.getByText(en.federation.keysChanged).waitFor();
      const { sites } = (await result('hub', 'sites', '--dir', clinics.hub)) as unknown as Sites;
      const status = await askSite({ folder: site, software: 'tributary test' }, 'status', {});
      expect(sites.map(({ fingerprint }) => fingerprint)).toContain(status.siteFingerprint);
      expect(await window.look('keys-changed', { part: 'here' })).toEqual([]);
      expect(window.troubles).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'is stopped with its work saved, goes on, outlives a crash of its engine and ends',
    async () => {
      const { page } = window;
      const run = await clinics.propose({ steps: STEPS });
      await window.show(`run/${run}`);
      const longTasks = await watchTasks(page);
      await (await button(page, en.run.approve)).click();
      const training = page.getByText(en.run.phases.training, { exact: true });
      await training.waitFor();
      await page.locator('main canvas').first().waitFor({ state: 'attached' });
      await (await button(page, en.run.stop)).click();
      await (await button(page, en.run.stopSave)).click();
      await page.getByText(en.run.stateSentences.paused).waitFor();
      expect(await window.look('run-paused')).toEqual([]);
      await page.evaluate(`globalThis.firstChart = document.querySelector('main canvas')`);
      await (await button(page, en.run.resume)).click();
      await training.waitFor();

      // An engine that is just ending may be there beside the one that trains, or that one may not be there yet.
      const said = page.getByText(/training process ended unexpectedly/).first();
      await until(async () => {
        await window.killTraining();
        await said.waitFor({ timeout: 5_000 });
      });
      await window.shoot('run-crashed');

      await page.getByText(en.run.stateSentences.completed).waitFor({ timeout: 120_000 });
      // New values are drawn into the chart that is there, which is no work that a screen would stand still for.
      expect(await page.evaluate(`firstChart === document.querySelector('main canvas')`)).toBe(true);
      const tasks = (await longTasks()).map(Math.round);
      console.info(
        `Tasks above 50 ms on the Run screen: ${tasks.length}, the longest ${Math.max(0, ...tasks)} ms.`,
      );
      const status = await askSite({ folder: site, software: 'tributary test' }, 'status', {});
      expect(status.runs).toMatchObject([{ id: run, state: 'completed' }]);
      expect(window.troubles).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'joins another federation beside the first, shows how it stands with each, and leaves it again',
    async () => {
      const { page } = window;
      const other = clinics.newFolder('laboratories');
      await result('hub', 'init', '--dir', other, '--name', 'Laboratories');
      await clinics.start('hub', 'start', '--dir', other).line('listening');
      const { invitation } = await result('hub', 'invite', '--dir', other);
      // What was said of the engine lies over the screen until it is put away.
      await (await button(page, en.common.close)).click();
      await page.getByRole('link', { name: en.shell.screens.federation }).first().click();
      await (await button(page, en.federation.joinAnother)).click();
      await pasteInvitation(page, String(invitation), 'river-laboratory');
      expect(await window.look('join-another')).toEqual([]);
      await (await button(page, en.welcome.join)).click();

      const tabs = page.getByRole('navigation', { name: en.federation.choose });
      await tabs.getByRole('link', { name: 'Laboratories' }).and(page.locator('[aria-current]')).waitFor();
      await page.getByText(en.federation.connected).waitFor();
      await page.getByText('river-laboratory').first().waitFor();
      expect(await window.look('federations')).toEqual([]);
      const { federations } = await askSite({ folder: site, software: 'tributary test' }, 'status', {});
      expect(federations.map(({ federation, state }) => [federation, state])).toEqual([
        ['Clinics', 'idle'],
        ['Laboratories', 'idle'],
      ]);
      await tabs.getByRole('link', { name: 'Clinics' }).click();
      await page.getByRole('table').getByText('North clinic').waitFor();
      await page.getByRole('link', { name: en.shell.screens.run }).first().click();
      await page.getByText(en.run.ofFederation('Clinics')).waitFor();
      await window.shoot('run-of-federation');
      await window.show('federation/of/Laboratories');
      await page.getByText('river-laboratory').first().waitFor();
      await (await button(page, en.federation.leave)).click();
      await page.getByText(en.federation.leaveOthers).waitFor();
      await (await button(page, en.federation.leaveNow)).click();
      await tabs.waitFor({ state: 'detached' });
      await page.getByText('River clinic').first().waitFor();
      expect(window.troubles).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'leaves the federation: the data and what was learned stay, and it is no member any more',
    async () => {
      const { page } = window;
      await page.getByRole('link', { name: en.shell.screens.federation }).first().click();
      await (await button(page, en.federation.leave)).click();
      await page.getByText(en.federation.leaveSentences[0]).waitFor();
      expect(await window.look('leave')).toEqual([]);
      await (await button(page, en.federation.leaveNow)).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      const status = await askSite({ folder: site, software: 'tributary test' }, 'status', {});
      expect(status).toMatchObject({ state: 'not-joined', federation: null });
      await page.getByRole('link', { name: en.shell.screens.data }).first().click();
      await page.getByRole('link', { name: 'letters' }).waitFor();
      await page.getByRole('link', { name: en.shell.screens.results }).first().click();
      await page.locator('main h1').waitFor();
      expect(window.troubles).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'withdraws the data, having said which adapters have learned from it',
    async () => {
      const { page } = window;
      await page.getByRole('link', { name: en.shell.screens.data }).first().click();
      await page.getByRole('link', { name: 'letters' }).click();
      await (await button(page, en.data.withdraw)).click();
      const withdraw = await button(page, en.data.withdrawNow);
      expect(await page.getByRole('dialog').innerText()).toContain('discharge-letters-1');
      expect(await window.look('withdraw')).toEqual([]);
      await withdraw.click();
      await page.getByText(en.data.emptyTitle).waitFor();
      expect(window.troubles).toEqual([]);
    },
    PATIENCE,
  );
});
