/** @file The coordinator's window while the hub leads runs: sites, rounds, scores, bytes, in both themes and languages. */

import { mkdirSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askHub } from '../../core/hub/ask.ts';
import { en } from '../../renderer/strings/en.ts';
import { until } from '../helpers/until.ts';
import { isBrowserThere, openBrowser, openWindow, PATIENCE, skipped } from './browser.ts';
import type { TestWindow } from './browser.ts';
import { foundClinics } from './clinics.ts';
import type { Clinics } from './clinics.ts';
import { result } from './programs.ts';
import { button } from './steps.ts';

const SITES = ['Harbour clinic', 'North clinic', 'River clinic'];
const ROUNDS = 4;
/** Enough that the run is still in its first round when it is looked at. */
const STEPS = 3000;

describe.skipIf(!isBrowserThere)(`a hub that leads runs${skipped}`, () => {
  let browser: Browser;
  let clinics: Clinics;
  let done: string;
  let open: string;

  beforeAll(async () => {
    [browser, clinics] = await Promise.all([openBrowser(), foundClinics()]);
    await clinics.join('Harbour clinic', 'clinic-harbour');
    await clinics.join('River clinic', 'clinic-river');
    await until(async () => {
      const { sites } = await askHub(clinics.hub, 'sites', {});
      expect(sites).toMatchObject(SITES.map((name) => ({ name, connected: true })));
    });
    done = await clinics.propose({ name: 'Discharge letters', rounds: ROUNDS, steps: 8, heldOut: 20 });
    await until(async () => {
      const { runs } = await askHub(clinics.hub, 'status', {});
      expect(runs).toMatchObject([{ state: 'completed' }]);
    });
    open = await clinics.propose({ name: 'Questions of patients', rounds: ROUNDS, steps: STEPS });
  }, PATIENCE);
  afterAll(async () => {
    await browser.close();
    await clinics.close();
  }, PATIENCE);

  async function openHub(locale?: Parameters<typeof openWindow>[2]): Promise<TestWindow> {
    const { url } = await result('hub', 'ui', '--dir', clinics.hub);
    return openWindow(browser, String(url), locale);
  }
  const goTo = async (window: TestWindow, path: string): Promise<void> => {
    await window.show(path);
    await window.page.locator(`nav a[href="#/${path.split('/')[0]}"][aria-current=page]`).waitFor();
    await window.page.locator('main h1').waitFor();
  };

  it(
    'shows who takes part, each round with its loss, score, phases and bytes, and exports its adapter',
    async () => {
      const window = await openHub();
      const { page } = window;
      await goTo(window, `runs/${done}`);
      const t = en.rounds;
      const course = page.getByRole('region', { name: t.course });
      await course.getByText(t.scoreByRound).waitFor();
      for (const site of SITES) await course.getByText(site, { exact: true }).waitFor();
      const rounds = page.getByRole('region', { name: t.timeline, exact: true }).getByRole('listitem');
      const first = rounds.filter({ has: page.getByRole('heading', { name: t.round('1') }) });
      expect(await first.innerText()).toContain('Harbour clinic, North clinic, and River clinic');
      expect(await page.getByRole('heading', { name: /^Round \d\b/ }).count()).toBe(ROUNDS);
      await (await button(page, t.export)).click();
      const out = clinics.newFolder('exported');
      mkdirSync(out);
      await (await button(page, t.exportFolder)).click();
      await page.getByLabel(en.files.path).fill(out);
      expect(await window.look('hub-export')).toEqual([]);
      await page.keyboard.press('Escape');
      expect(window.troubles).toEqual([]);
      await window.close();
    },
    PATIENCE,
  );

  it(
    'moves the bar of a run with the steps of its sites, long before the first round is over',
    async () => {
      const window = await openHub();
      const { page } = window;
      await goTo(window, 'overview');
      const now = page.getByRole('region', { name: en.hub.overview.now });
      const bar = now.getByRole('progressbar');
      await expect
        .poll(async () => Number(await bar.getAttribute('aria-valuenow')), { timeout: 90_000 })
        .toBeGreaterThan(0);
      expect(await now.innerText()).toContain(en.rounds.roundOf('1', String(ROUNDS)));
      expect(window.troubles).toEqual([]);
      await window.close();
      // Looked at in what follows, which needs no more of its steps.
      clinics.holdTraining();
    },
    PATIENCE,
  );

  it.each(['en', 'zh-CN'] as const)(
    'has nothing that axe finds serious while a run is under way, in light and in dark, %s',
    async (locale) => {
      const window = await openHub(locale);
      const screens = {
        runs: `runs/${done}`,
        'run-under-way': `runs/${open}`,
        invitations: 'invitations',
        plans: 'plans',
        ledger: 'ledger',
        settings: 'settings',
        diagnostics: 'diagnostics',
        overview: 'overview',
      };
      for (const [name, path] of Object.entries(screens)) {
        await goTo(window, path);
        await window.page.locator('main :is(table, canvas, select, pre)').first().waitFor();
        // The form is there before what it begins with.
        if (name === 'plans') {
          const first = window.page.locator('main input').first();
          await expect.poll(() => first.inputValue()).not.toBe('');
        }
        const picture = `hub-${name}${locale === 'en' ? '' : '-zh'}`;
        expect(await window.look(picture, { part: name === 'runs' ? 'whole' : 'top' }), name).toEqual([]);
      }
      expect(window.troubles).toEqual([]);
      await window.close();
    },
    PATIENCE,
  );

  it(
    'lets the coordinator invite another device under the name of a site, once it is confirmed',
    async () => {
      const window = await openHub();
      const { page } = window;
      await goTo(window, 'overview');
      const t = en.hub.sites;
      await page.getByRole('button', { name: t.actions('North clinic') }).click();
      await page.getByRole('menuitem', { name: t.replace }).click();
      await page.getByRole('button', { name: t.replaceMissing }).waitFor();
      await page.getByLabel(t.replaceConsent).check();
      expect(await window.look('hub-replace')).toEqual([]);
      await (await button(page, t.replaceNow)).click();
      const line = page.getByLabel(en.hub.invitations.line, { exact: true });
      expect(await line.inputValue()).toMatch(/^tributary1\./);
      await page.getByRole('dialog').press('Escape');
      await page.getByRole('link', { name: en.shell.screens.invitations }).click();
      await page.getByText(en.hub.invitations.otherDevice('North clinic')).waitFor();
      expect(window.troubles).toEqual([]);
      await window.close();
    },
    PATIENCE,
  );
});
