/** @file The way of a data owner through the window: join, connect a table, approve, watch two rounds, try, export, leave. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askSite } from '../../core/site/ask.ts';
import { en } from '../../renderer/strings/en.ts';
import { isBrowserThere, openBrowser, openWindow, skipped } from './browser.ts';
import type { TestWindow } from './browser.ts';
import { foundClinics, SAMPLES } from './clinics.ts';
import type { Clinics } from './clinics.ts';

/** Far more than a busy machine needs; what hangs shows. */
const PATIENCE = 180_000;

describe.skipIf(!isBrowserThere)(`the first path${skipped}`, () => {
  let browser: Browser;
  let clinics: Clinics;
  let window: TestWindow;
  let site: string;
  let table: string;

  beforeAll(async () => {
    [browser, clinics] = await Promise.all([openBrowser(), foundClinics()]);
    site = clinics.newFolder('river');
    table = join(clinics.folder, 'letters.csv');
    writeFileSync(table, toTable(join(SAMPLES, 'clinic-river/train.jsonl')));
    const { url } = await clinics.start('site', 'ui', '--dir', site).line('listening');
    window = await openWindow(browser, String(url));
    window.page.setDefaultTimeout(60_000);
  }, PATIENCE);
  afterAll(async () => {
    await browser.close();
    await clinics.close();
  }, PATIENCE);

  it(
    'joins by a pasted invitation, connects a table and approves a run with five clicks at most',
    async () => {
      const { page } = window;
      const run = await clinics.propose();
      await page.getByLabel(en.welcome.invitation, { exact: true }).fill(await clinics.invite());
      await page.getByLabel(en.welcome.siteName).fill('clinic-river');
      await window.shoot('welcome');
      const before = window.clicks();
      await page.getByRole('button', { name: en.welcome.join, exact: true }).click();

      await page.getByRole('button', { name: en.data.connect }).click();
      const path = page.getByLabel(en.files.path);
      await path.fill(table);
      await path.press('Enter');
      await page
        .getByRole('button', { name: en.data.import, exact: true })
        .and(page.locator(':enabled'))
        .waitFor();
      await window.shoot('data-connect');
      expect(await window.audit()).toEqual([]);
      await page.getByRole('button', { name: en.data.import, exact: true }).click();

      await page
        .getByRole('button', { name: en.run.approve, exact: true })
        .and(page.locator(':enabled'))
        .waitFor();
      await window.shoot('run-decision');
      await page.getByRole('button', { name: en.run.approve, exact: true }).click();
      expect(window.clicks() - before).toBeLessThanOrEqual(5);

      await page.getByText(en.run.stateSentences.completed).waitFor({ timeout: 120_000 });
      const status = await askSite({ folder: site, software: 'tributary test' }, 'status', {});
      expect(status.runs).toMatchObject([{ id: run, state: 'completed' }]);
      await window.shoot('run-completed');
      expect(await window.audit()).toEqual([]);
      expect(window.troubles).toEqual([]);
    },
    PATIENCE,
  );
});

/** Rows of a sample as a table, as a hospital's system would export it. */
function toTable(path: string): string {
  const rows = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { question: string; answer: string });
  const cell = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  return ['question,answer', ...rows.map(({ question, answer }) => `${cell(question)},${cell(answer)}`)].join(
    '\r\n',
  );
}
