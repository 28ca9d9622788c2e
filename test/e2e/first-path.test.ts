/** @file The way of a data owner through the window: join, connect a table, approve, watch two rounds, look around. */

import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { askSite } from '../../core/site/ask.ts';
import { en } from '../../renderer/strings/en.ts';
import { zh } from '../../renderer/strings/zh.ts';
import { PATIENCE } from './browser.ts';
import { foundClinics, SAMPLES } from './clinics.ts';
import type { Clinics } from './clinics.ts';
import { describeWindow, folderOf } from './launchers.ts';
import type { SiteWindow } from './launchers.ts';
import { button, pasteInvitation, readRows, writeTable } from './steps.ts';

const SCREENS = [
  'data',
  'run',
  'federation',
  'try',
  'results',
  'privacy',
  'settings',
  'diagnostics',
] as const;

describeWindow('the first path', (launcher) => {
  let clinics: Clinics;
  let window: SiteWindow;
  let site: string;
  let table: string;
  /** When the person began, later by what was spent here on looking. */
  let began = 0;

  beforeAll(async () => {
    clinics = await foundClinics();
    const home = clinics.newFolder('river');
    site = folderOf(home);
    table = join(clinics.folder, 'letters.csv');
    writeTable(readRows(join(SAMPLES, 'clinic-river/train.jsonl')), table);
    began = performance.now();
    window = await launcher.open(home);
  }, PATIENCE);
  afterAll(async () => {
    await launcher.close();
    await clinics.close();
  }, PATIENCE);

  async function look(name: string): Promise<void> {
    const start = performance.now();
    expect(await window.look(name), name).toEqual([]);
    began += performance.now() - start;
  }

  it(
    'joins by a pasted invitation, connects a table and approves a run with five clicks at most',
    async () => {
      const { page } = window;
      const run = await clinics.propose();
      await pasteInvitation(page, await clinics.invite(), 'River clinic');
      await look('welcome');
      const before = window.clicks();
      await (await button(page, en.welcome.join)).click();

      await window.connect(table);
      await look('data-connect');
      await (await button(page, en.data.import)).click();

      const approve = await button(page, en.run.approve);
      await look('run-decision');
      await approve.click();
      expect(window.clicks() - before).toBeLessThanOrEqual(5);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.info(
        `From the first start to the approved run: ${seconds} s, ${window.clicks() - before} clicks after pasting.`,
      );
      // Join, connect, import, approve: a count that misses them counts nothing.
      expect(window.clicks() - before).toBeGreaterThanOrEqual(4);

      await page.getByText(en.run.stateSentences.completed).waitFor({ timeout: 120_000 });
      const status = await askSite({ folder: site, software: 'tributary test' }, 'status', {});
      expect(status.runs).toMatchObject([{ id: run, state: 'completed' }]);
      // Two rounds of two steps: their losses, as the table behind the picture has them.
      await page.getByText(en.common.chartAsTable).first().click();
      await expect.poll(() => page.getByRole('table').first().getByRole('row').count()).toBe(1 + 4);
      const counted = page.getByRole('cell', { name: en.run.roundStates.committed, exact: true });
      await expect.poll(() => counted.count()).toBe(2);
      await window.show('data');
      await page.getByRole('table').getByText(run).waitFor();
    },
    PATIENCE,
  );

  it(
    'has nothing on any screen that axe finds serious, in light and in dark',
    async () => {
      for (const screen of SCREENS) {
        await window.show(screen);
        await window.page.getByRole('heading', { level: 1, name: en.shell.screens[screen] }).waitFor();
        await look(screen);
      }
    },
    PATIENCE,
  );

  it('begins each screen at its top, wherever the one before was left', async () => {
    const { page } = window;
    await window.show('privacy');
    await page.getByRole('heading', { level: 1, name: en.shell.screens.privacy }).waitFor();
    const scrolled = "document.querySelector('main').scrollTop";
    // Long enough once all of it is there.
    await expect
      .poll(() => page.evaluate(`document.querySelector('main').scrollTo(0, 300); ${scrolled}`))
      .toBe(300);
    await page.getByRole('link', { name: en.shell.screens.settings }).click();
    await page.getByRole('heading', { level: 1, name: en.shell.screens.settings }).waitFor();
    expect(await page.evaluate(scrolled)).toBe(0);
  });

  it(
    'is used with the keyboard alone',
    async () => {
      const { page } = window;
      const before = window.clicks();
      await window.show('data');
      await page.getByRole('heading', { level: 1, name: en.shell.screens.data }).waitFor();
      await page.locator('nav a').last().focus();
      await page.keyboard.press('Enter');
      await page.waitForURL(/#\/diagnostics/);
      // Every place that takes the focus shows it.
      const unmarked = `(() => {
        const { outlineStyle, boxShadow } = getComputedStyle(document.activeElement);
        const marked = outlineStyle !== 'none' || boxShadow !== 'none' || document.activeElement.tabIndex < 0;
        return marked ? null : document.activeElement.outerHTML;
      })()`;
      const reached = new Set<unknown>();
      for (let press = 0; press < 12; press++) {
        await page.keyboard.press('Tab');
        expect(await page.evaluate(unmarked)).toBeNull();
        reached.add(await page.evaluate('document.activeElement.outerHTML'));
      }
      expect(reached.size).toBeGreaterThan(6);
      expect(window.clicks()).toBe(before);
    },
    PATIENCE,
  );

  it(
    'speaks Chinese where it is asked to, and remembers it',
    async () => {
      const { page } = window;
      await page.getByRole('button', { name: '中文' }).click();
      await page.getByRole('link', { name: zh.shell.screens.privacy }).waitFor();
      await page.reload();
      await page.getByRole('link', { name: zh.shell.screens.privacy }).waitFor();
      expect(await page.locator('html').getAttribute('lang')).toBe('zh-CN');
      for (const screen of SCREENS) {
        await window.show(screen);
        await page.getByRole('heading', { level: 1, name: zh.shell.screens[screen] }).waitFor();
        await window.shoot(`${screen}-zh`);
      }
    },
    PATIENCE,
  );

  it('had nothing go wrong in the page', () => expect(window.troubles).toEqual([]));
});
