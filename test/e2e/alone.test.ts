/** @file Without a federation: train alone on the sample, watch the loss, compare, vote, export, delete. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { en } from '../../renderer/strings/en.ts';
import { PATIENCE } from './browser.ts';
import { describeWindow, folderOf, oneAlone } from './launchers.ts';

describeWindow('training alone in the window', (launcher) => {
  const person = oneAlone(launcher);

  it(
    'shows the course of the loss and what became of it',
    async () => {
      const { window } = person;
      const { page } = window;
      await page.getByLabel(en.run.model, { exact: true }).selectOption('tiny');
      await page.getByLabel(en.run.steps, { exact: true }).fill('12');
      await page.getByRole('button', { name: en.run.aloneStart }).click();
      await page.getByText(en.run.lossAfter).waitFor();
      await page.getByText(en.common.chartAsTable).click();
      // The table is drawn a moment after it was asked for.
      await expect.poll(() => page.getByRole('row').count()).toBe(13);
      expect(await window.look('alone')).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'compares the models, keeps a vote in the vault and nothing of it in the open',
    async () => {
      const { window } = person;
      const { page } = window;
      await page.getByRole('link', { name: en.shell.screens.try }).first().click();
      await page.getByLabel(en.tryIt.prompt, { exact: true }).fill('May I fast before the scan?');
      await page.getByText(en.tryIt.settings).click();
      await page.getByLabel(en.tryIt.temperature).fill('1');
      await page.getByLabel(en.tryIt.maxTokens).fill('24');
      await page.getByRole('button', { name: en.tryIt.start, exact: true }).click();
      const better = page.getByRole('button', { name: en.tryIt.better }).last();
      await better.waitFor();
      expect(await window.look('try-answers')).toEqual([]);
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
      const { window } = person;
      const { page } = window;
      await page.getByRole('link', { name: en.shell.screens.results }).click();
      await page.getByRole('heading', { name: 'alone-1' }).waitFor();
      await window.shoot('results-alone');
      await page.getByRole('button', { name: en.results.export }).click();
      const out = join(person.folder, 'exported');
      await page.getByLabel(en.results.folder, { exact: true }).fill(out);
      expect(await window.look('results-export')).toEqual([]);
      await page.getByRole('button', { name: en.results.exportNow, exact: true }).click();
      await page.getByText(en.results.exported('4')).waitFor();
      expect(readdirSync(out)).toContain('adapter_model.safetensors');
      await page.getByRole('button', { name: en.common.close, exact: true }).last().click();

      await page.getByRole('button', { name: en.results.delete }).click();
      await page.getByRole('button', { name: en.common.delete, exact: true }).click();
      await page.getByText(en.results.emptyTitle).waitFor();
      expect(existsSync(join(folderOf(person.home), 'alone/alone-1'))).toBe(false);
      expect(window.troubles).toEqual([]);
    },
    PATIENCE,
  );
});
