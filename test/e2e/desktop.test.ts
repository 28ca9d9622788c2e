/** @file The first path in the desktop program: the same window, the bridge of its preload, training as it starts it there. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { en } from '../../renderer/strings/en.ts';
import { isBrowserThere, openBrowser, PATIENCE, skipped } from './browser.ts';
import { foundClinics, SAMPLES } from './clinics.ts';
import type { Clinics } from './clinics.ts';
import { isElectronThere, openElectron, openOnStandIn, skippedElectron } from './desktop.ts';
import type { DesktopWindow } from './desktop.ts';
import { button, pasteInvitation, readRows, writeTable } from './steps.ts';

describe.skipIf(!isBrowserThere && !isElectronThere)('the desktop program', () => {
  let browser: Browser | undefined;
  let clinics: Clinics;
  beforeAll(async () => {
    clinics = await foundClinics();
    if (isBrowserThere) browser = await openBrowser();
  }, PATIENCE);
  afterAll(async () => {
    await browser?.close();
    await clinics.close();
  }, PATIENCE);

  async function walk(window: DesktopWindow, home: string, name: string): Promise<void> {
    const { page } = window;
    const table = join(clinics.folder, `${name}.csv`);
    writeTable(readRows(join(SAMPLES, 'clinic-river/train.jsonl')), table);
    await clinics.propose();
    await pasteInvitation(page, await clinics.invite(), name);
    await (await button(page, en.welcome.join)).click();
    await window.choose(table);
    await (await button(page, en.data.connect)).click();
    await (await button(page, en.data.import)).click();
    await (await button(page, en.run.approve)).click();
    await page.getByText(en.run.stateSentences.completed).waitFor({ timeout: 120_000 });
    await page.getByText(en.common.chartAsTable).first().click();
    // The last steps come in one go, a moment later.
    await expect.poll(() => page.getByRole('table').first().getByRole('row').count()).toBe(1 + 4);
    await page.getByRole('link', { name: en.shell.screens.settings }).click();
    await page.getByLabel(en.settings.startAtLogin).waitFor();
    expect(await page.getByLabel(en.settings.startAtLogin).isChecked()).toBe(false);
    expect(window.troubles).toEqual([]);
    await window.quit();
    expect(existsSync(join(home, 'site', 'lock.pid'))).toBe(false);
  }

  it.skipIf(!isBrowserThere)(
    `goes the first path on a stand-in for Electron, in Chromium${skipped}`,
    async () => {
      if (browser === undefined) throw new Error('no browser');
      const home = clinics.newFolder('stand-in');
      await walk(await openOnStandIn(browser, home), home, 'River clinic');
    },
    PATIENCE,
  );

  it.skipIf(!isElectronThere)(
    `goes the first path in Electron${skippedElectron}`,
    async () => {
      const home = clinics.newFolder('electron');
      await walk(await openElectron(home), home, 'Lake clinic');
    },
    PATIENCE,
  );
});
