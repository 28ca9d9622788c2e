/**
 * @file What leaves the machine. Everything the site hands to the channel is recorded before it is sealed: nothing of
 * any row is in it. And the bytes on the socket, counted by a proxy, are those that the window shows.
 */

import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type * as framing from '../../core/federation/framing.ts';
import { encodeInvitation, parseInvitation } from '../../core/federation/invitation.ts';
import { en } from '../../renderer/strings/en.ts';
import { startSiteProcess } from '../../main/cli/site-process.ts';
import type { SiteProcess } from '../../main/cli/site-process.ts';
import { openProxy } from '../helpers/proxy.ts';
import type { Proxy } from '../helpers/proxy.ts';
import { until } from '../helpers/until.ts';
import { isBrowserThere, openBrowser, openWindow, PATIENCE, skipped } from './browser.ts';
import type { TestWindow } from './browser.ts';
import { foundClinics, SAMPLES } from './clinics.ts';
import type { Clinics } from './clinics.ts';
import { chooseByPath } from './launchers.ts';
import { button, pasteInvitation, readRows, writeTable } from './steps.ts';

const frames = vi.hoisted(() => [] as Buffer[]);
vi.mock('../../core/federation/framing.ts', async (importOriginal) => {
  const original = await importOriginal<typeof framing>();
  return {
    ...original,
    sealFrame: (...given: Parameters<typeof original.sealFrame>) => {
      const [, ...parts] = given;
      frames.push(Buffer.concat(parts));
      return original.sealFrame(...given);
    },
  };
});

/** Every run of eight characters of a text in which one word ends and another begins. */
function* gramsOf(text: string): Generator<string> {
  for (let at = 0; at + 8 <= text.length; at++) {
    const gram = text.slice(at, at + 8);
    if (/\S\s\S/.test(gram)) yield gram;
  }
}

describe.skipIf(!isBrowserThere)(`what leaves the machine${skipped}`, () => {
  const rows = readRows(join(SAMPLES, 'clinic-river/train.jsonl'));
  let browser: Browser;
  let clinics: Clinics;
  let proxy: Proxy;
  let site: SiteProcess;
  let window: TestWindow;

  beforeAll(async () => {
    proxy = await openProxy(() => clinics.port);
    [browser, clinics] = await Promise.all([openBrowser(), foundClinics()]);
    site = await startSiteProcess({
      folder: clinics.newFolder('river'),
      engine: { device: 'cpu', threads: 1 },
      logLevel: 'silent',
      resident: true,
      onStatus: () => undefined,
      onNote: () => undefined,
    });
    window = await openWindow(browser, await site.address());
  }, PATIENCE);
  afterAll(async () => {
    await browser.close();
    await site.close();
    await clinics.close();
    await proxy.close();
  }, PATIENCE);

  it(
    'is nothing of any row, and as many bytes as the window says',
    async () => {
      const { page } = window;
      const table = join(clinics.folder, 'letters.csv');
      writeTable(rows, table);
      await clinics.propose();
      const urls = [`ws://127.0.0.1:${proxy.port}`];
      const invitation = encodeInvitation({ ...parseInvitation(await clinics.invite()), urls });
      await pasteInvitation(page, invitation, 'River clinic');
      await (await button(page, en.welcome.join)).click();
      await chooseByPath(window, table);
      await (await button(page, en.data.import)).click();
      await (await button(page, en.run.approve)).click();
      await page.getByText(en.run.stateSentences.completed).waitFor({ timeout: 120_000 });

      const sent = Buffer.concat(frames).toString('latin1');
      expect(frames.length).toBeGreaterThan(20);
      expect(sent).toContain('discharge-letters');
      const grams = rows.flatMap(({ question, answer }) => [...gramsOf(question), ...gramsOf(answer)]);
      expect(grams.length).toBeGreaterThan(5000);
      expect(grams.filter((gram) => sent.includes(Buffer.from(gram).toString('latin1')))).toEqual([]);

      await until(async () => {
        await page.reload();
        const shown = await page.locator('footer [data-bytes]').getAttribute('data-bytes');
        expect(Number(shown)).toBeGreaterThan(0);
        expect(Number(shown)).toBe(proxy.bytes.up);
      });
    },
    PATIENCE,
  );
});
