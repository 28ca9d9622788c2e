/** @file The coordinator's window in Chromium: the command that opens it, every screen, an invitation, a refused plan. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeFolder } from '../helpers/folders.ts';
import { isBrowserThere, openBrowser, openWindow, PATIENCE, skipped } from './browser.ts';
import { result, start } from './programs.ts';
import type { Program } from './programs.ts';

const SCREENS = ['overview', 'invitations', 'plans', 'runs', 'ledger', 'settings', 'diagnostics'];

let folder: string;
let hub: Program;
let browser: Browser | null = null;

beforeAll(async () => {
  folder = join(mkdtempSync(join(tmpdir(), 'tributary-hub-window-')), 'hub');
  await result('hub', 'init', '--dir', folder, '--name', 'Northern clinics');
  hub = start('hub', 'ui', '--dir', folder);
  if (isBrowserThere) browser = await openBrowser();
}, PATIENCE);

afterAll(async () => {
  await browser?.close();
  await hub.stop();
  await removeFolder(join(folder, '..'));
}, PATIENCE);

const address = async (): Promise<string> => String((await result('hub', 'ui', '--dir', folder)).url);

test(
  'a hub that runs is asked for the address of its window, a new one each time',
  { timeout: PATIENCE },
  async () => {
    const first = String((await hub.line('listening')).url);
    const second = await address();
    expect(second).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#token=/);
    expect(new URL(second).origin).toBe(new URL(first).origin);
    expect(new URL(second).hash).not.toBe(new URL(first).hash);
  },
);

test.skipIf(!isBrowserThere).each(['en', 'zh-CN'] as const)(
  `every screen of a new hub is free of serious findings, in light and in dark, %s${skipped}`,
  { timeout: PATIENCE },
  async (locale) => {
    if (browser === null) return;
    await hub.line('listening');
    const window = await openWindow(browser, await address(), locale);
    for (const screen of SCREENS) {
      await window.page.locator(`nav a[href="#/${screen}"]`).click();
      await window.page.locator(`nav a[href="#/${screen}"][aria-current=page]`).waitFor();
      await window.page.locator('main h1').waitFor();
      const picture = `new-hub-${screen}${locale === 'en' ? '' : '-zh'}`;
      expect(await window.look(picture), screen).toEqual([]);
    }
    expect(window.troubles).toEqual([]);
    await window.close();
  },
);

test.skipIf(!isBrowserThere)(
  `invites a site, and refuses what cannot be mixed${skipped}`,
  { timeout: PATIENCE },
  async () => {
    if (browser === null) return;
    await hub.line('listening');
    const window = await openWindow(browser, await address());
    const { page } = window;
    await page.getByRole('link', { name: 'Invitations' }).click();
    await page.getByLabel('Name of the site').fill('North clinic');
    await page.getByRole('button', { name: 'Create the invitation' }).click();
    const line = page.getByLabel('Invitation', { exact: true });
    await line.waitFor();
    expect(await line.inputValue()).toMatch(/^tributary1\./);
    await page.getByRole('img', { name: 'The invitation as a QR code' }).waitFor();
    await page.getByRole('row', { name: /North clinic Open/ }).waitFor();

    await page.getByRole('link', { name: 'Propose a run' }).click();
    await page.getByText('The hub accepts this plan.').waitFor();
    await page.getByLabel('Which matrices are trained').selectOption('rolora');
    await page.getByLabel('Strategy').selectOption('fedadam');
    await page.getByText('The hub refuses this plan').waitFor();
    const field = page.locator('[id="field-adapter.variant"]');
    expect(await field.getByRole('alert').textContent()).toContain('fedavg does not');
    // Neither proposed nor rehearsed.
    expect(await page.getByRole('button', { name: 'Correct the fields first' }).count()).toBe(2);
    await page.getByLabel('Strategy').selectOption('fedavg');
    await page.getByRole('button', { name: 'Propose to the sites' }).click();
    await page.getByText('Waiting for approvals').first().waitFor();
    expect(window.troubles).toEqual([]);
    await window.close();
  },
);
