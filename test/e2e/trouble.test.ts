/** @file What the window says when something is wrong, and that it goes on once it is right. */

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { en } from '../../renderer/strings/en.ts';
import { PATIENCE } from './browser.ts';
import { foundClinics } from './clinics.ts';
import type { Clinics } from './clinics.ts';
import { describeWindow, folderOf } from './launchers.ts';
import type { SiteWindow } from './launchers.ts';
import { result } from './programs.ts';
import { button, pasteInvitation } from './steps.ts';

describeWindow('trouble in the window', (launcher) => {
  let clinics: Clinics;

  beforeAll(async () => {
    clinics = await foundClinics();
  }, PATIENCE);
  afterAll(async () => {
    await launcher.close();
    await clinics.close();
  }, PATIENCE);

  async function open(home: string): Promise<SiteWindow> {
    const window = await launcher.open(home);
    return window;
  }

  it(
    'a database of a newer version blocks the folder until it is put right',
    async () => {
      const home = clinics.newFolder('future');
      const folder = folderOf(home);
      mkdirSync(folder, { recursive: true });
      const database = new Database(join(folder, 'site.sqlite'));
      database.pragma('user_version = 999');
      database.close();
      const window = await open(home);
      const { page } = window;
      await page.getByRole('heading', { name: en.shell.blockedTitle }).waitFor();
      expect(await page.locator('main, body').first().innerText()).toContain('version 999');
      expect(await window.look('blocked')).toEqual([]);
      const again = new Database(join(folder, 'site.sqlite'));
      again.pragma('user_version = 0');
      again.close();
      await (await button(page, en.common.retry)).click();
      await page.getByRole('heading', { name: en.welcome.title }).waitFor();
      await window.close();
    },
    PATIENCE,
  );

  it.skipIf(process.getuid?.() === 0)(
    'a folder that may not be written says so (skipped for root, who may write anywhere)',
    async () => {
      const home = clinics.newFolder('closed');
      const folder = folderOf(home);
      mkdirSync(home);
      mkdirSync(folder, { mode: 0o500 });
      const window = await open(home);
      await window.page.getByRole('heading', { name: en.shell.blockedTitle }).waitFor();
      chmodSync(folder, 0o700);
      await window.close();
    },
    PATIENCE,
  );

  it(
    'a wrong, an altered and a used invitation are told apart, and nothing is joined',
    async () => {
      const window = await open(clinics.newFolder('stranger'));
      const { page } = window;
      const invitation = page.getByLabel(en.welcome.invitation, { exact: true });
      await invitation.fill('hello');
      await page.getByText(en.welcome.notInvitation).waitFor();
      const line = await clinics.invite();
      await invitation.fill(line.slice(0, -3));
      await page.getByText('invitation.garbled').waitFor({ state: 'attached' });
      await result('site', 'join', line, '--dir', clinics.newFolder('first'), '--name', 'East clinic');
      await pasteInvitation(page, line, 'West clinic');
      await (await button(page, en.welcome.join)).click();
      await page.getByText('invitation.used').waitFor({ state: 'attached' });
      expect(await page.getByLabel(en.welcome.siteName).inputValue()).toBe('West clinic');
      await window.close();
    },
    PATIENCE,
  );

  it(
    'a window whose program was killed says so and goes on when it runs again',
    async ({ skip }) => {
      skip(launcher.isDesktop, 'the desktop’s window ends with its program');
      const home = clinics.newFolder('killed');
      const window = await open(home);
      const { page } = window;
      await page.getByRole('heading', { name: en.welcome.title }).waitFor();
      const port = new URL(page.url()).port;
      await window.killProgram();
      await page.getByText(en.shell.lostTitle).waitFor();
      await window.shoot('lost');
      // The new process knows no cookie of the old one; the window asks for a new address.
      await clinics.start('site', 'ui', '--dir', folderOf(home), '--port', port).line('listening');
      await page.getByText(en.shell.notAllowedTitle).waitFor();
      await window.close();
    },
    PATIENCE,
  );

  it(
    'a hub that is away is told in words, and found again once it is back',
    async () => {
      const window = await open(clinics.newFolder('patient'));
      const { page } = window;
      const footer = (text: string) => page.locator('footer').getByText(text, { exact: true });
      await pasteInvitation(page, await clinics.invite(), 'Patient clinic');
      await (await button(page, en.welcome.join)).click();
      await footer(en.shell.state.idle).waitFor();
      await clinics.restartHub(async () => {
        await footer(en.shell.state.offline).waitFor();
        await window.shoot('hub-away');
      });
      await footer(en.shell.state.idle).waitFor();
      await window.close();
    },
    PATIENCE,
  );

  it(
    'an empty file and a row that does not fit its table are told in words',
    async () => {
      const window = await open(clinics.newFolder('tables'));
      const { page } = window;
      await (await button(page, en.welcome.alone)).click();
      await page.getByRole('link', { name: en.shell.screens.data }).click();
      const empty = join(clinics.folder, 'empty.csv');
      writeFileSync(empty, '');
      await window.choose(empty);
      await page.getByText('data.empty').waitFor({ state: 'attached' });
      await window.shoot('empty-file');
      await (await button(page, en.common.cancel)).click();
      const ragged = join(clinics.folder, 'ragged.csv');
      const lines = Array.from({ length: 20 }, (_, row) => `What is ${row}?,It is ${row}.`);
      writeFileSync(ragged, ['question,answer', ...lines, 'a line with, too, many, cells', ''].join('\n'));
      await window.connect(ragged);
      await (await button(page, en.data.import)).click();
      // A figure and its label stand in one element each: the test reads what a person sees beside the label.
      const figure = async (label: string) =>
        page.locator('main').getByText(label, { exact: true }).locator('xpath=..').innerText();
      await page.getByText(en.data.skipped, { exact: true }).waitFor();
      expect(await figure(en.data.train)).toMatch(/\b20$/);
      expect(await figure(en.data.skipped)).toContain(en.data.leftOut.broken('1'));
      await window.close();
    },
    PATIENCE,
  );

  it(
    'a disk that is full while data is imported is told, nothing of it is kept, and the window goes on',
    async (test) => {
      const home = clinics.newFolder('small-disk');
      const folder = folderOf(home);
      mkdirSync(folder, { recursive: true });
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder]).status === 0;
      if (!mounted) test.skip('only one who may mount can have a small disk');
      const window = await open(home);
      try {
        const { page } = window;
        await (await button(page, en.welcome.alone)).click();
        await page.getByRole('link', { name: en.shell.screens.data }).click();
        const large = join(clinics.folder, 'large.csv');
        const line = (row: number): string => `What is ${row}?,${`It is ${row}. `.repeat(40)}`;
        writeFileSync(
          large,
          ['question,answer', ...Array.from({ length: 20_000 }, (_, row) => line(row))].join('\n'),
        );
        await window.connect(large);
        await (await button(page, en.data.import)).click();
        await page.getByText('disk.full').waitFor({ state: 'attached' });
        await page.getByText(en.data.importFailed).waitFor();
        await window.shoot('disk-full');
        await (await button(page, en.common.cancel)).click();
        await page.getByText(en.data.emptyTitle).waitFor();
      } finally {
        await window.close();
        spawnSync('umount', [folder]);
      }
    },
    PATIENCE,
  );

  it(
    'a model that is not on this machine is missed before anything starts, and diagnostics say so',
    async () => {
      const home = clinics.newFolder('no-model');
      vi.stubEnv('TRIBUTARY_HOME', home);
      try {
        const window = await open(home);
        const { page } = window;
        await (await button(page, en.welcome.alone)).click();
        await button(page, en.run.missingModel);
        expect(await window.look('no-model')).toEqual([]);
        await page.getByLabel(en.run.model, { exact: true }).selectOption('tiny');
        await button(page, en.run.aloneStart);
        await window.show('diagnostics');
        await page.getByText(/ is missing$/).waitFor();
        await window.close();
      } finally {
        vi.unstubAllEnvs();
      }
    },
    PATIENCE,
  );

  it(
    'a public dataset that cannot be reached says where to put it; once it can be, it is fetched and connected',
    async () => {
      const columns = ['instruction', 'input', 'output', 'text'].map((name) => ({
        ...{ name, type: 'STRING' as const },
        data: Array.from({ length: 40 }, (_, row) => `${name} ${row}`),
      }));
      const file = new Uint8Array(parquetWriteBuffer({ columnData: columns }));
      let isThere = false;
      const server = createServer((_, response) => {
        if (isThere) response.writeHead(200, { 'content-length': file.length }).end(file);
        else response.writeHead(404).end();
      });
      await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
      vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      const home = clinics.newFolder('public');
      vi.stubEnv('TRIBUTARY_HOME', home);
      try {
        const window = await open(home);
        const { page } = window;
        await (await button(page, en.welcome.alone)).click();
        await page.getByRole('link', { name: en.shell.screens.data }).click();
        await (await button(page, en.publicData.open)).click();
        await page.getByRole('heading', { name: en.publicData.topics.medicine }).waitFor();
        expect(await window.look('public-data')).toEqual([]);
        await (await button(page, en.publicData.fetchNamed('Alpaca'))).click();
        await page.getByText('data.not-reachable').waitFor({ state: 'attached' });
        expect(await page.getByRole('alert').innerText()).toContain('datasets/alpaca.parquet');
        isThere = true;
        await (await button(page, en.publicData.fetchNamed('Alpaca'))).click();
        await (await button(page, en.publicData.connectNamed('Alpaca'))).click();
        await (await button(page, en.data.import)).click();
        await page.getByRole('heading', { level: 1, name: 'alpaca', exact: true }).waitFor();
        await window.close();
      } finally {
        vi.unstubAllEnvs();
        server.close();
      }
    },
    PATIENCE,
  );
});
