/** @file Without a federation: train alone on the sample, watch the loss, compare, vote, export, delete. */

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { en } from '../../renderer/strings/en.ts';
import { describeWindow, folderOf } from './launchers.ts';
import type { SiteWindow } from './launchers.ts';

/** Far more than a busy machine needs; what hangs shows. */
const PATIENCE = 180_000;

describeWindow('training alone in the window', (launcher) => {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-e2e-alone-'));
  const home = join(folder, 'home');
  let window: SiteWindow;

  beforeAll(async () => {
    window = await launcher.open(home);
    window.page.setDefaultTimeout(60_000);
  }, PATIENCE);
  afterAll(async () => {
    await launcher.close();
    rmSync(folder, { recursive: true, force: true });
  }, PATIENCE);

  it(
    'shows the course of the loss and what became of it',
    async () => {
      const { page } = window;
      await page.getByRole('button', { name: en.welcome.alone }).click();
      await page.getByLabel(en.run.model, { exact: true }).selectOption('tiny');
      await page.getByLabel(en.run.steps, { exact: true }).fill('12');
      await page.getByRole('button', { name: en.run.aloneStart }).click();
      await page.getByText(en.run.lossAfter).waitFor();
      await page.getByText(en.common.chartAsTable).click();
      // The table is drawn a moment after it was asked for.
      await expect.poll(() => page.getByRole('row').count()).toBe(13);
      await window.shoot('alone');
      expect(await window.audit()).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'compares the models, keeps a vote in the vault and nothing of it in the open',
    async () => {
      const { page } = window;
      await page.getByRole('link', { name: en.shell.screens.try }).first().click();
      await page.getByLabel(en.tryIt.prompt, { exact: true }).fill('May I fast before the scan?');
      await page.getByText(en.tryIt.settings).click();
      await page.getByLabel(en.tryIt.temperature).fill('1');
      await page.getByLabel(en.tryIt.maxTokens).fill('24');
      await page.getByRole('button', { name: en.tryIt.start, exact: true }).click();
      const better = page.getByRole('button', { name: en.tryIt.better }).last();
      await better.waitFor();
      await window.shoot('try-answers');
      expect(await window.audit()).toEqual([]);
      await better.click();
      await page.getByText(en.tryIt.voted('1', 'votes')).waitFor();
      await page.getByRole('link', { name: en.tryIt.seeVotes }).click();
      await page.getByText('May I fast before the scan?').waitFor();
    },
    PATIENCE,
  );

  it(
    'exports the adapter, and deletes it once that is confirmed',
    async () => {
      const { page } = window;
      await page.getByRole('link', { name: en.shell.screens.results }).click();
      await page.getByRole('heading', { name: 'alone-1' }).waitFor();
      await window.shoot('results-alone');
      await page.getByRole('button', { name: en.results.export }).click();
      const out = join(folder, 'exported');
      await page.getByLabel(en.results.folder, { exact: true }).fill(out);
      await window.shoot('results-export');
      expect(await window.audit()).toEqual([]);
      await page.getByRole('button', { name: en.results.exportNow, exact: true }).click();
      await page.getByText(en.results.exported('4')).waitFor();
      expect(readdirSync(out)).toContain('adapter_model.safetensors');
      await page.getByRole('button', { name: en.common.close, exact: true }).last().click();

      await page.getByRole('button', { name: en.results.delete }).click();
      await page.getByRole('button', { name: en.common.delete, exact: true }).click();
      await page.getByText(en.results.emptyTitle).waitFor();
      expect(existsSync(join(folderOf(home), 'alone/alone-1'))).toBe(false);
      expect(window.troubles).toEqual([]);
    },
    PATIENCE,
  );
});
