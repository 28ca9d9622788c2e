/**
 * @file The desktop program's window for tests. In Electron where its binary is on this machine; otherwise in Chromium,
 * where the built window and the built preload talk with the real desktop program on a stand-in for Electron.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { _electron as electron } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import { preloadPath } from '../../core/programs.ts';
import { findElectron, whyNotUsable } from '../../main/electron-binary.js';
import { startDesktop } from '../../main/desktop/desktop.ts';
import { PAGE } from '../../main/desktop/origin.ts';
import { World } from '../helpers/electron.ts';
import { until } from '../helpers/until.ts';
import { follow } from './browser.ts';
import type { TestWindow } from './browser.ts';
import { childrenOf } from './programs.ts';

const root = join(import.meta.dirname, '../..');
const binary = findElectron(root);
const problem = binary === null ? 'Electron is not on this machine' : whyNotUsable(binary, root);

/** Whether the desktop program itself can be tested, and the words that a skipped test shows. */
export const isElectronThere = problem === null;
export const skippedElectron = problem === null ? '' : ` (skipped: ${problem})`;

export interface DesktopWindow extends TestWindow {
  /** What a person will choose in the next dialog of the system. */
  choose(path: string): Promise<void>;
  /** Processes that train. */
  trainers(): Promise<number[]>;
  /** Ends the program in order. */
  quit(): Promise<void>;
}

/** @param home the folder of everything that belongs to the person */
export async function openElectron(home: string): Promise<DesktopWindow> {
  const program = await electron.launch({
    executablePath: binary ?? '',
    args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), '--lang=en-GB', root],
    env: { ...(process.env as Record<string, string>), TRIBUTARY_HOME: home },
  });
  const page = await program.firstWindow();
  await page.emulateMedia({ reducedMotion: 'reduce' });
  const window = await follow(page);
  await page.reload();
  return {
    ...window,
    trainers: () =>
      program.evaluate(({ app }) =>
        app
          .getAppMetrics()
          .filter(({ name }) => name === 'Tributary engine')
          .map(({ pid }) => pid),
      ),
    choose: (path) =>
      program.evaluate(({ dialog }, chosen) => {
        dialog.showOpenDialog = () => Promise.resolve({ canceled: false, filePaths: [chosen] });
      }, path),
    quit: () => program.close(),
  };
}

/** The address under which Chromium, which knows no scheme of ours, is given the pages of `app://`. */
const STAND_IN = 'https://tributary.test/';

export async function openOnStandIn(browser: Browser, home: string): Promise<DesktopWindow> {
  process.env['TRIBUTARY_HOME'] = home;
  const world = new World();
  await startDesktop(world.electron, {
    ...{ words: ['tributary'], platform: 'linux', configuration: home, executable: 'tributary' },
    loadUpdater: () => Promise.reject(new Error('updates are off')),
  });
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  await servePages(page, world);
  await givePreload(page, world);
  const window = await follow(page);
  await page.goto(STAND_IN);
  return {
    ...window,
    trainers: () => Promise.resolve(childrenOf(process.pid, 'training-process')),
    choose: (path) => {
      world.chosen = path;
      return Promise.resolve();
    },
    quit: async () => {
      world.app.quit();
      await until(() => {
        if (!world.app.ended) throw new Error('The program has not ended yet.');
      });
      await context.close();
    },
  };
}

async function servePages(page: Page, world: World): Promise<void> {
  await page.route('**/*', async (route) => {
    const url = route.request().url();
    if (!url.startsWith(STAND_IN)) return route.abort();
    const answer = await world.pages(new Request(url.replace(STAND_IN, PAGE)));
    return route.fulfill({
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: Buffer.from(await answer.arrayBuffer()),
    });
  });
}

/** Runs the built preload before the page, on what stands for Electron's half in the page. */
async function givePreload(page: Page, world: World): Promise<void> {
  await page.exposeFunction('invokeDesktop', (channel: string, ...given: unknown[]) =>
    world.invoke(channel, given),
  );
  world.windows[0].webContents.onSend = (channel, text) => {
    const told = JSON.stringify([channel, text]);
    // A page that is just being left hears nothing.
    page.evaluate(`hearDesktop(...${told})`).catch(() => undefined);
  };
  const electronHalf = `(() => {
    const listeners = new Map();
    globalThis.hearDesktop = (channel, text) => listeners.get(channel)?.({}, text);
    const half = {
      contextBridge: { exposeInMainWorld: (name, api) => { globalThis[name] = api; } },
      ipcRenderer: {
        invoke: (...given) => invokeDesktop(...given),
        on: (channel, listener) => listeners.set(channel, listener),
      },
    };
    ((require) => {
      ${readFileSync(preloadPath(), 'utf8')}
    })(() => half);
  })();`;
  await page.addInitScript({ content: electronHalf });
}
