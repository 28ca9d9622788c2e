/** @file Connecting a file in the window: what it holds of persons is decided in sight, and the same name is a new version. */

import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { en } from '../../renderer/strings/en.ts';
import { until } from '../helpers/until.ts';
import { PATIENCE } from './browser.ts';
import { SAMPLES } from './clinics.ts';
import { describeWindow, oneAlone } from './launchers.ts';
import { button, readRows, writeTable } from './steps.ts';

/** More than the window looks at before an import. */
const ROWS = 2100;

/** Letters of a clinic, numbered so that none comes twice; two of the first and the last hold personal data. */
function writeLetters(path: string): void {
  const letters = readRows(join(SAMPLES, 'clinic-north/train.jsonl'));
  const rows = Array.from({ length: ROWS }, (_, number) => {
    const { question, answer } = letters[number % letters.length];
    return { question: `${number + 1}. ${question}`, answer };
  });
  const add = (number: number, sentence: string): void => {
    rows[number] = { ...rows[number], answer: `${rows[number].answer} ${sentence}` };
  };
  add(1, 'Write to anna.weber@example.org.');
  add(2, 'Bring the card of MRN: 40718823.');
  add(ROWS - 1, 'Or call (212) 555-0147.');
  writeTable(rows, path);
}

describeWindow('connecting data in the window', (launcher) => {
  const person = oneAlone(launcher);
  const file = join(person.folder, 'letters.csv');

  beforeAll(async () => {
    writeLetters(file);
    await person.window.page.getByRole('link', { name: en.shell.screens.data }).click();
  }, PATIENCE);

  it(
    'says beside the button what becomes of personal data, and masks what nobody was asked about',
    async () => {
      const { window } = person;
      const { page } = window;
      const t = en.data;
      await window.connect(file);
      await page.getByText(t.personalBecomes.mask('e-mail addresses and record numbers')).waitFor();
      await (await button(page, t.personalLook)).click();
      const keep = page.getByRole('group', { name: t.choiceFor(t.personalKinds.email) });
      await keep.getByText(t.choices.keep, { exact: true }).click();
      await page.getByText(t.personalBecomes.keep('e-mail addresses')).waitFor();
      expect(await window.look('data-personal', { part: 'here' })).toEqual([]);
      await (await button(page, t.import)).click();
      await page.getByRole('heading', { level: 1, name: 'letters', exact: true }).waitFor();
      const done = await page.getByText(t.personalDone).innerText();
      expect(done).toContain(t.personalDid(t.personalKinds.email, t.treatments.keep, '1'));
      expect(done).toContain(t.personalDid(t.personalKinds.phone, t.treatments.mask, '1'));
    },
    PATIENCE,
  );

  it(
    'makes a new version of a dataset whose name is given again, having said so',
    async () => {
      const { window } = person;
      const { page } = window;
      await page.getByRole('link', { name: en.shell.screens.data }).click();
      await window.connect(file);
      await page.getByLabel(en.data.datasetName).fill('letters');
      await page.getByText(en.data.newVersion('letters')).waitFor();
      await (await button(page, en.data.import)).click();
      await page.getByRole('heading', { level: 1, name: 'letters', exact: true }).waitFor();
      const version = page.locator('main').getByText(en.data.version, { exact: true }).locator('xpath=..');
      expect(await version.innerText()).toMatch(/\b2$/);
      expect(await window.look('dataset')).toEqual([]);
      await page.getByLabel(en.data.searchLabel).fill('beta blocker');
      await (await button(page, en.common.search)).click();
      await page.getByText(/ found in 2,100 rows(?! so far)/).waitFor();
      expect(await window.look('dataset-search')).toEqual([]);
      expect(window.troubles).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'keeps a path that is about to be typed when the folder is listed (in a browser; the desktop has the system’s dialog)',
    async ({ skip }) => {
      skip(launcher.isDesktop);
      const { window } = person;
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
      await field.focus();
      await until(() => expect(held).toHaveLength(1));
      held[0]();
      await page.getByRole('dialog').getByRole('list').waitFor();
      await page.keyboard.insertText(file);
      expect(await field.inputValue()).toBe(file);
    },
    PATIENCE,
  );
});
