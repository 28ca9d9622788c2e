/** @file Connecting a file in the window: what it holds of persons is decided in sight, and the same name is a new version. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { en } from '../../renderer/strings/en.ts';
import { until } from '../helpers/until.ts';
import { describeWindow } from './launchers.ts';
import type { SiteWindow } from './launchers.ts';
import { button } from './steps.ts';

/** Far more than a busy machine needs; what hangs shows. */
const PATIENCE = 180_000;
/** More than the window looks at before an import. */
const ROWS = 2100;

describeWindow('connecting data in the window', (launcher) => {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-e2e-data-'));
  const file = join(folder, 'visits.csv');
  let window: SiteWindow;

  beforeAll(async () => {
    const lines = Array.from({ length: ROWS }, (_, row) => `What is ${row}?,It is ${row}.`);
    lines[1] = 'Whom to write to?,To anna@example.org.';
    lines[ROWS - 1] = 'Whom to call?,Call (212) 555-0147.';
    writeFileSync(file, ['question,answer', ...lines].join('\n'));
    window = await launcher.open(join(folder, 'home'));
    const { page } = window;
    page.setDefaultTimeout(60_000);
    await (await button(page, en.welcome.alone)).click();
    await page.getByRole('link', { name: en.shell.screens.data }).click();
  }, PATIENCE);
  afterAll(async () => {
    await launcher.close();
    rmSync(folder, { recursive: true, force: true });
  }, PATIENCE);

  it(
    'says beside the button what becomes of personal data, and masks what nobody was asked about',
    async () => {
      const { page } = window;
      const t = en.data;
      await window.connect(file);
      await page.getByText(t.personalBecomes.mask('e-mail addresses')).waitFor();
      await (await button(page, t.personalLook)).click();
      const keep = page.getByRole('group', { name: t.choiceFor(t.personalKinds.email) });
      await keep.getByText(t.choices.keep, { exact: true }).click();
      await page.getByText(t.personalBecomes.keep('e-mail addresses')).waitFor();
      await window.shoot('data-personal');
      expect(await window.audit()).toEqual([]);
      await (await button(page, t.import)).click();
      await page.getByRole('heading', { level: 1, name: 'visits', exact: true }).waitFor();
      const done = await page.getByText(t.personalDone).innerText();
      expect(done).toContain(t.personalDid(t.personalKinds.email, t.treatments.keep, '1'));
      expect(done).toContain(t.personalDid(t.personalKinds.phone, t.treatments.mask, '1'));
    },
    PATIENCE,
  );

  it(
    'makes a new version of a dataset whose name is given again, having said so',
    async () => {
      const { page } = window;
      await page.getByRole('link', { name: en.shell.screens.data }).click();
      await window.connect(file);
      await page.getByLabel(en.data.datasetName).fill('visits');
      await page.getByText(en.data.newVersion('visits')).waitFor();
      await (await button(page, en.data.import)).click();
      await page.getByRole('heading', { level: 1, name: 'visits', exact: true }).waitFor();
      const version = page.locator('main').getByText(en.data.version, { exact: true }).locator('xpath=..');
      expect(await version.innerText()).toMatch(/\b2$/);
      await window.shoot('dataset');
      expect(await window.audit()).toEqual([]);
      expect(window.troubles).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'keeps a path that is typed before the folder is listed (in a browser; the desktop has the system’s dialog)',
    async ({ skip }) => {
      skip(launcher.isDesktop);
      const { page } = window;
      const listings = new Set<number>();
      const held: (() => void)[] = [];
      const numberOf = (message: string | Buffer) =>
        JSON.parse(String(message)) as { id: number; name?: string };
      await page.routeWebSocket(/bridge$/, (socket) => {
        const program = socket.connectToServer();
        socket.onMessage((message) => {
          const { id, name } = numberOf(message);
          if (name === 'files.list') listings.add(id);
          program.send(message);
        });
        program.onMessage((message) => {
          if (listings.has(numberOf(message).id)) held.push(() => socket.send(message));
          else socket.send(message);
        });
      });
      await page.reload();
      await page.getByRole('link', { name: en.shell.screens.data }).click();
      await (await button(page, en.data.connect)).click();
      const field = page.getByLabel(en.files.path);
      await field.fill(file);
      await until(() => expect(held).toHaveLength(1));
      held[0]();
      await page.getByRole('dialog').getByRole('list').waitFor();
      expect(await field.inputValue()).toBe(file);
    },
    PATIENCE,
  );
});
