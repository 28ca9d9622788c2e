/** @file The desktop program, whole: a real site in it, and around it a system without Electron. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { EventBody, Input, Output, RequestName } from '../../core/bridge/contract.ts';
import type { Answer } from '../../core/bridge/dispatch.ts';
import { acquireFolderLock, askControl } from '../../core/control.ts';
import { pinPlan, readPlan } from '../../core/federation/plan.ts';
import { openTiny } from '../../core/model/tiny.ts';
import { createEngineTrainer } from '../../core/site/engine-trainer.ts';
import type { RoundTrainer } from '../../core/site/trainer.ts';
import { ASK, EVENT } from '../../main/desktop/channels.ts';
import { startDesktop } from '../../main/desktop/desktop.ts';
import { PAGE } from '../../main/desktop/origin.ts';
import type { Surroundings } from '../../main/desktop/surroundings.ts';
import { World } from '../helpers/electron.ts';
import { removeFolder } from '../helpers/folders.ts';
import { makeTrainer } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';
import { foundFederation } from '../helpers/whole.ts';
import type { WholeFederation } from '../helpers/whole.ts';

let root: string;
let home: string;
let site: string;
let world: World;
let federation: WholeFederation | undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tributary-desktop-'));
  home = join(root, 'home');
  site = join(home, 'site');
  process.env['TRIBUTARY_HOME'] = home;
  world = new World();
});
afterEach(async () => {
  if (!world.app.ended && world.app.isFirst) await quit();
  await federation?.stop();
  federation = undefined;
  await removeFolder(root);
});

const around = (changes: Partial<Surroundings> = {}): Surroundings => ({
  ...{
    words: ['tributary'],
    platform: 'linux',
    configuration: join(root, 'config'),
    executable: '/opt/tributary',
  },
  loadUpdater: () => Promise.reject(new Error('updates are off')),
  ...changes,
});
const start = (changes: Partial<Surroundings> = {}) => startDesktop(world.electron, around(changes));

async function ask<Name extends RequestName>(name: Name, input: Input<Name>): Promise<Output<Name>> {
  const answer = JSON.parse((await world.invoke(ASK, [name, JSON.stringify(input)])) as string) as Answer;
  if ('error' in answer) throw Object.assign(new Error(answer.error.message), answer.error);
  return answer.output as Output<Name>;
}

function told<Name extends 'problem' | 'changed' | 'task'>(name: Name): EventBody<Name>[] {
  const texts = world.windows.flatMap(({ webContents }) => webContents.sent);
  expect(texts.every(({ channel }) => channel === EVENT)).toBe(true);
  const events = texts.map(({ text }) => JSON.parse(text) as { event: string; body: EventBody<Name> });
  return events.flatMap(({ event, body }) => (event === name ? [body] : []));
}

/** As a person does it by the icon by the clock. */
async function quit(): Promise<void> {
  world.app.quit();
  await until(() => expect(world.app.ended).toBe(true));
}

async function foundHub(north: RoundTrainer = makeTrainer()): Promise<string> {
  federation = await foundFederation(root, { north });
  const { invitation } = await federation.hub().ask('invite', {});
  return invitation;
}

it('opens its window on its own page, with the site behind it and its keys in the keychain', async () => {
  await start();
  const [window] = world.windows;
  expect(window.loaded).toEqual([PAGE]);
  await until(() => expect(window.isShown).toBe(true));
  expect(await ask('app.state', {})).toMatchObject({
    ...{
      role: 'site',
      folder: site,
      surface: 'desktop',
      stage: 'welcome',
      secrets: 'keychain',
      problems: [],
    },
  });
  expect(readdirSync(site).filter((name) => /pem|key/.test(name))).toEqual([
    ...['ed25519.pem.sealed', 'vault.key.sealed', 'x25519.pem.sealed'],
  ]);
  expect(world.app.called('enableSandbox')).toHaveLength(1);
  expect(world.app.called('setAsDefaultProtocolClient')).toEqual([['tributary']]);
  expect(world.windows[0].options['webPreferences']).toMatchObject({ sandbox: true, contextIsolation: true });
  const page = await world.pages(new Request(PAGE));
  expect(await page.text()).toContain('<div id="app">');
  // The guards hold for whatever contents there will be.
  expect(window.webContents.openHandler?.({ url: PAGE })).toEqual({ action: 'deny' });
  expect([...world.sessionHandlers.keys()].sort()).toEqual([
    ...['device', 'permission check', 'permission request', 'request', 'spelling'],
  ]);
  // Nothing that nobody has asked for.
  expect(world.app.called('setLoginItemSettings')).toEqual([]);
  expect(existsSync(join(root, 'config'))).toBe(false);
  expect(world.blockers.size).toBe(0);
  expect(world.notices).toEqual([]);
});

it('says where keys lie in files because this Linux has no keychain', async () => {
  world.keychain.backend = 'basic_text';
  await start();
  expect((await ask('app.state', {})).secrets).toBe('file');
  expect(existsSync(join(site, 'ed25519.pem'))).toBe(true);
});

it('a second instance ends at once, and hands its link to the first, whose window shows it', async () => {
  const invitation = await foundHub();
  await start();
  const second = new World();
  second.app.isFirst = false;
  await startDesktop(second.electron, around());
  expect(second.app.ended).toBe(true);
  expect(second.windows).toEqual([]);
  world.windows[0].focused = false;
  world.app.emit('second-instance', {}, ['tributary', `tributary://join/${invitation}`], root);
  expect(world.windows).toHaveLength(1);
  expect(world.windows[0].focused).toBe(true);
  await until(() => expect(told('changed')).toContainEqual({ what: 'link' }));
  // It is shown, and joined by nobody.
  expect(await ask('app.link', {})).toEqual({ invitation });
  expect(await ask('app.link', {})).toEqual({ invitation: null });
  expect((await ask('app.state', {})).stage).toBe('welcome');
  world.app.emit('second-instance', {}, ['tributary', 'tributary://join/nonsense'], root);
  expect(await ask('app.link', {})).toEqual({ invitation: null });
});

it('takes the link that it was started with, and the one that macOS tells', async () => {
  const invitation = await foundHub();
  await start({ words: ['tributary', `tributary://join/${invitation}`] });
  expect(await ask('app.link', {})).toEqual({ invitation });
  const event = { preventDefault: () => undefined };
  world.app.emit('open-url', event, `tributary://join/${invitation}`);
  expect(await ask('app.link', {})).toEqual({ invitation });
});

it('takes part in a run: awake while it trains, said by the icon, and told at the end', async () => {
  const invitation = await foundHub(createEngineTrainer({ device: 'cpu', threads: 1 }));
  await start();
  await ask('federation.join', { invitation, name: 'river' });
  const path = join(root, 'letters.csv');
  const rows = Array.from({ length: 12 }, (_, row) => `Question ${row}?,Answer ${row}.`);
  writeFileSync(path, ['question,answer', ...rows].join('\n'));
  const { guess } = await ask('data.inspect', { path });
  if (guess === null) throw new Error('no mapping was guessed');
  await ask('data.import', { path, mapping: guess.mapping, name: 'letters' });
  await until(() =>
    expect(told('task').some(({ kind, state }) => kind === 'import' && state === 'done')).toBe(true),
  );
  await ask('settings.set', { settings: { device: 'cpu', threads: 1 } });
  const tips = new Set<string>();
  const slept: number[] = [];
  const [tray] = world.trays;
  world.windows[0].webContents.onSend = () => {
    tips.add(tray.tip);
    slept.push(world.blockers.size);
  };

  const training = { steps: 2, batchSize: 2, maxLength: 128 };
  const text = {
    name: 'Letters',
    model: 'tiny',
    adapter: { rank: 2 },
    training,
    federation: { rounds: 1, minSites: 2 },
  };
  const { identity } = openTiny();
  const plan = pinPlan(readPlan(JSON.stringify(text)), { id: 'tiny', sha256: identity.sha256 });
  const run = await federation?.propose(plan);
  if (run === undefined) throw new Error('nothing was proposed');
  await until(() =>
    expect(world.notices.map(({ body }) => body)).toEqual([`${run} waits for your decision.`]),
  );
  world.notices[0].click();
  expect(world.windows[0].focused).toBe(true);
  // A person who looks at the window needs no notice.
  world.windows[0].focused = false;
  await ask('runs.approve', { run, dataset: 'letters' });
  await until(() => expect(world.notices.map(({ body }) => body)).toContain(`${run} is complete.`));
  expect([...tips]).toContain('Tributary: Training, round 1 of 1');
  expect(slept).toContain(1);
  await until(() => expect(world.blockers.size).toBe(0));
  expect(world.blockers.size).toBe(0);

  // A member goes on without its window, and says so once.
  world.windows[0].close();
  expect(world.app.ended).toBe(false);
  expect(world.notices.at(-1)?.body).toContain('goes on');
  tray.menu.find(({ label }) => label === 'Open Tributary')?.click?.();
  expect(world.windows).toHaveLength(2);
  tray.menu.find(({ label }) => label === 'Quit')?.click?.();
  await until(() => expect(world.app.ended).toBe(true));
  expect(tray.isOpen).toBe(false);
  expect(existsSync(join(site, 'lock.pid'))).toBe(false);
});

it('without a federation ends with its window, and keeps the window’s place', async () => {
  await start();
  world.windows[0].bounds = { x: 55, y: 66, width: 900, height: 650 };
  world.windows[0].close();
  await until(() => expect(world.app.ended).toBe(true));
  expect(JSON.parse(readFileSync(join(home, 'window.json'), 'utf8'))).toMatchObject({
    x: 55,
    y: 66,
    width: 900,
  });
});

it('a page that crashes is opened again and says so; one that does it again and again is given up', async () => {
  await start();
  const [window] = world.windows;
  for (let crash = 1; crash <= 3; crash++) {
    window.webContents.emit('render-process-gone', {}, { reason: 'oom', exitCode: 1 });
    await until(() => expect(told('problem')).toHaveLength(crash));
  }
  expect(told('problem')[0]).toMatchObject({ code: 'window.crashed' });
  expect(told('problem')[0].message).toContain('oom');
  expect(window.loaded).toEqual([PAGE, PAGE, PAGE, PAGE]);
  window.webContents.emit('render-process-gone', {}, { reason: 'oom', exitCode: 1 });
  expect(window.isDestroyed()).toBe(true);
  expect(world.boxes[0]).toContain('again and again');
  world.app.emit('child-process-gone', {}, { type: 'GPU', reason: 'crashed', exitCode: 5 });
  const log = readFileSync(join(site, 'site.log'), 'utf8');
  expect(log).toContain('"reason":"oom"');
  expect(log).toContain('"type":"GPU"');
});

it('a blocked folder is said in the window, and opened when it is free', async () => {
  const lock = acquireFolderLock(site);
  await start();
  const state = await ask('app.state', {});
  expect(state).toMatchObject({ stage: 'blocked', problems: [{ code: 'folder.locked' }] });
  lock.release();
  await ask('app.retry', {});
  expect((await ask('app.state', {})).stage).toBe('welcome');
  expect(world.trays[0].tip).toBe('Tributary: No federation yet');
});

it('settings that are damaged are said as the answer to every question, and the program can be ended', async () => {
  mkdirSync(site, { recursive: true });
  writeFileSync(join(site, 'settings.json'), '{');
  await start();
  await expect(ask('app.state', {})).rejects.toMatchObject({ code: 'settings.damaged' });
  world.windows[0].close();
  await until(() => expect(world.app.ended).toBe(true));
});

it('starts with the login only once that was turned on, and looks for updates only then too', async () => {
  let loads = 0;
  await start({
    platform: 'win32',
    loadUpdater: () => {
      loads += 1;
      return Promise.reject(new Error('none'));
    },
  });
  await ask('settings.set', { settings: { theme: 'dark' } });
  expect(world.app.called('setLoginItemSettings')).toEqual([]);
  await ask('settings.set', { settings: { startAtLogin: true } });
  await ask('settings.set', { settings: { startAtLogin: false } });
  expect(world.app.called('setLoginItemSettings').map(([given]) => given)).toEqual([
    { openAtLogin: true, args: ['--hidden'] },
    { openAtLogin: false, args: ['--hidden'] },
  ]);
  expect(loads).toBe(0);
  await ask('settings.set', { settings: { updates: true, updateFeed: 'https://updates.hospital.example/' } });
  await until(() => expect(loads).toBe(1));
});

it('hidden at login opens no window until it is asked for', async () => {
  await start({ words: ['tributary', '--hidden'] });
  expect(world.windows).toEqual([]);
  await expect(askControl(site, { command: 'window' })).rejects.toMatchObject({ code: 'folder.locked' });
  expect(world.windows).toHaveLength(1);
});

it('asks the system for files, and shows none but the site’s in its file manager', async () => {
  await start();
  const choice = { title: 'A table', endings: ['csv', '../x'], suggested: '' };
  expect(await ask('files.choose', { ...choice, kind: 'open' })).toEqual({ path: null });
  world.chosen = join(root, 'a.csv');
  expect(await ask('files.choose', { ...choice, kind: 'open' })).toEqual({ path: world.chosen });
  expect(world.dialogs.at(-1)).toMatchObject({
    properties: ['openFile'],
    filters: [{ extensions: ['csv'] }],
  });
  await ask('files.choose', { ...choice, kind: 'folder' });
  expect(world.dialogs.at(-1)).toMatchObject({ properties: ['openDirectory', 'createDirectory'] });
  await ask('files.choose', { ...choice, kind: 'save', suggested: 'ledger.jsonl' });
  expect(world.dialogs.at(-1)).toMatchObject({ defaultPath: 'ledger.jsonl' });

  const log = join(site, 'site.log');
  await ask('files.reveal', { path: log });
  expect(world.revealed).toEqual([log]);
  for (const path of [
    '/etc/passwd',
    join(site, '../window.json'),
    'site.log',
    '\\\\server\\share',
    site,
    `${log}x`,
  ])
    await expect(ask('files.reveal', { path }), path).rejects.toMatchObject({ code: 'file.not-allowed' });
  expect(world.revealed).toEqual([log]);
});
