/** @file Parts of the desktop program by themselves: links, the window's place, what the site does, updates, login. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeInvitation } from '../../core/federation/invitation.ts';
import { invitationAmong, invitationOf } from '../../main/desktop/links.ts';
import { setLoginItem } from '../../main/desktop/login-item.ts';
import { WORDS, wordsFor } from '../../main/desktop/strings.ts';
import { createUpdates } from '../../main/desktop/updates.ts';
import type { Updater } from '../../main/desktop/updates.ts';
import { readWindowState, SMALLEST, writeWindowState } from '../../main/desktop/window-state.ts';
import { FakeApp } from '../helpers/electron.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tributary-parts-'))));
afterEach(() => rmSync(folder, { recursive: true }));

describe('a link', () => {
  const invitation = encodeInvitation({
    ...{
      federation: 'Clinics',
      urls: ['wss://hub.example:8443'],
      expires: 2_000_000_000,
      id: new Uint8Array(16),
    },
    ...{ secret: new Uint8Array(32), hubEd25519: new Uint8Array(32), hubX25519: new Uint8Array(32) },
  });

  it('brings the invitation in it', () => {
    expect(invitationOf(`tributary://join/${invitation}`)).toBe(invitation);
    expect(invitationOf(`tributary://join/${invitation}/`)).toBe(invitation);
    expect(invitationAmong(['tributary', '--hidden', `tributary://join/${invitation}`])).toBe(invitation);
    expect(invitationAmong(['tributary', 'x.csv'])).toBeNull();
  });

  it.each([
    '',
    'tributary://join/',
    'tributary://join/tributary1.garbled',
    `tributary://leave/${invitation}`,
    `tributary://join/${invitation}?run=1`,
    `tributary://join/${invitation}#x`,
    `tributary://join/../${invitation}`,
    `tributary://join/${invitation} --no-sandbox`,
    `https://evil.example/join/${invitation}`,
    `tributary://join/${invitation.slice(0, -4)}`,
    `tributary://join/tributary1.${'A'.repeat(20_000)}`,
  ])('of another form brings nothing: %.60s', (link) => expect(invitationOf(link)).toBeNull());

  it('of any text throws nothing', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(invitationOf(text)).toBeNull();
        expect(invitationOf(`tributary://join/tributary1.${text}`)).toBeNull();
      }),
    );
  });
});

describe('the window’s place', () => {
  const screens = [
    { x: 0, y: 0, width: 1920, height: 1080 },
    { x: 1920, y: 0, width: 1280, height: 720 },
  ];
  const place = { x: 2000, y: 100, width: 900, height: 600, maximized: true };
  const path = () => join(folder, 'window.json');

  it('is found again', async () => {
    await writeWindowState(path(), place);
    expect(readWindowState(path(), screens)).toEqual(place);
  });

  it.each([
    ['on a screen that is gone', { ...place, x: 9000 }],
    ['above all screens', { ...place, y: -500 }],
    ['below all screens', { ...place, y: 5000 }],
    ['with a corner left that nobody can take hold of', { ...place, x: 3190 }],
  ])('%s is left to the system', async (_, lost) => {
    await writeWindowState(path(), lost);
    expect(readWindowState(path(), screens)).toEqual({ width: 900, height: 600, maximized: true });
  });

  it('that is larger than its screen or smaller than the window can be is made to fit', async () => {
    await writeWindowState(path(), { ...place, x: 0, y: 0, width: 5000, height: 5000 });
    expect(readWindowState(path(), screens)).toMatchObject({ width: 1920, height: 1080 });
    await writeWindowState(path(), { ...place, width: 100, height: 10 });
    expect(readWindowState(path(), screens)).toMatchObject(SMALLEST);
  });

  it('is forgotten where its file is missing, cut short or holds something else', () => {
    const first = readWindowState(path(), screens);
    const texts = fc.oneof(fc.string(), fc.json(), fc.constant(JSON.stringify(place).slice(0, 30)));
    fc.assert(
      fc.property(texts, (text) => {
        writeFileSync(path(), text);
        expect(readWindowState(path(), screens)).toEqual(first);
      }),
      { numRuns: 50 },
    );
    expect(first).toEqual({ width: 1280, height: 860, maximized: false });
    expect(readWindowState(path(), [])).toEqual(first);
  });
});

describe('updates', () => {
  const log = { info: () => undefined, warn: () => undefined };
  const feed = 'https://updates.hospital.example/tributary';
  function updater() {
    const asked: string[] = [];
    const listeners = new Map<string, (error: Error) => void>();
    const fake: Updater = {
      autoInstallOnAppQuit: false,
      disableWebInstaller: false,
      logger: console,
      setFeedURL: ({ provider, url }) => void asked.push(`${provider} ${url}`),
      checkForUpdates: () => Promise.resolve(asked.push('check')),
      on: (event: string, listener: (error: Error) => void) => listeners.set(event, listener),
    };
    return { fake, asked, listeners };
  }

  it.each([
    { updates: false, updateFeed: null },
    { updates: false, updateFeed: feed },
    { updates: true, updateFeed: null },
  ])('are not looked for, and their code is not even loaded, with %j', async (settings) => {
    let loads = 0;
    const load = () => {
      loads += 1;
      return Promise.reject(new Error('must not be loaded'));
    };
    const updates = createUpdates({ settings: () => settings, load, onReady: () => undefined, log });
    await updates.look();
    updates.close();
    expect(loads).toBe(0);
  });

  it('are looked for at the institution’s own server, and no longer once they are turned off', async () => {
    const { fake, asked, listeners } = updater();
    let settings = { updates: true, updateFeed: feed };
    let ready = 0;
    const updates = createUpdates({
      ...{ settings: () => settings, load: () => Promise.resolve(fake), log },
      onReady: () => (ready += 1),
    });
    await updates.look();
    expect(asked).toEqual([`generic ${feed}`, 'check']);
    expect(fake).toMatchObject({ autoInstallOnAppQuit: true, disableWebInstaller: true, logger: null });
    listeners.get('update-downloaded')?.(new Error());
    expect(ready).toBe(1);
    settings = { ...settings, updates: false };
    await updates.look();
    updates.close();
    expect(asked).toHaveLength(2);
    expect(fake.autoInstallOnAppQuit).toBe(false);
  });

  it('that fail disturb nobody', async () => {
    const { fake } = updater();
    fake.checkForUpdates = () => Promise.reject(new Error('no such host'));
    const settings = () => ({ updates: true, updateFeed: feed });
    const updates = createUpdates({
      settings,
      load: () => Promise.resolve(fake),
      onReady: () => undefined,
      log,
    });
    await updates.look();
    updates.close();
  });
});

describe('the start at login', () => {
  it('is asked of Windows and macOS, and is a file of the person’s own on Linux', async () => {
    const app = new FakeApp();
    const around = { configuration: folder, executable: '/opt/Tri "b" utary/tributary' };
    await setLoginItem(app, true, { ...around, platform: 'win32' });
    expect(app.called('setLoginItemSettings')).toEqual([[{ openAtLogin: true, args: ['--hidden'] }]]);
    const path = join(folder, 'autostart', 'tributary.desktop');
    await setLoginItem(app, true, { ...around, platform: 'linux' });
    expect(readFileSync(path, 'utf8')).toContain('Exec="/opt/Tri \\"b\\" utary/tributary" --hidden\n');
    await setLoginItem(app, false, { ...around, platform: 'linux' });
    expect(existsSync(path)).toBe(false);
    expect(app.called('setLoginItemSettings')).toHaveLength(1);
  });
});

describe('words outside the window', () => {
  it('are there in both languages, and follow the system where nobody has chosen', () => {
    expect(Object.keys(WORDS['zh-CN'])).toEqual(Object.keys(WORDS.en));
    const { trainingRound, runCompleted, runFailed, runWaits, ...plain } = WORDS['zh-CN'];
    const said = [
      trainingRound(1, 2),
      runCompleted('a'),
      runFailed('a'),
      runWaits('a'),
      ...Object.values(plain),
    ];
    for (const sentence of said) expect(sentence).toMatch(/\p{Script=Han}/u);
    expect(wordsFor(null, 'zh-Hans-CN')).toBe(WORDS['zh-CN']);
    expect(wordsFor(null, 'de')).toBe(WORDS.en);
    expect(wordsFor('en', 'zh-CN')).toBe(WORDS.en);
  });
});
