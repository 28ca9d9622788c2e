/**
 * @file Where a site's window is tested: served by `site ui` to a browser, and in the desktop program where Electron's
 * binary is on this machine. The same steps go through both. TRIBUTARY_STAND_IN=1 takes them through the desktop program
 * on a stand-in for Electron too.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { en } from '../../renderer/strings/en.ts';
import { isBrowserThere, openBrowser, openWindow, PATIENCE, shootFailure, skipped } from './browser.ts';
import type { TestWindow } from './browser.ts';
import { isElectronThere, openElectron, openOnStandIn } from './desktop.ts';
import { childrenOf, start } from './programs.ts';
import { button } from './steps.ts';

export interface SiteWindow extends TestWindow {
  /** Chooses a file to connect. */
  choose(path: string): Promise<void>;
  /** Chooses it, up to the page that shows how it is read. */
  connect(path: string): Promise<void>;
  /** Kills the program behind the window, which is possible only where the window is not its own. */
  killProgram(): Promise<void>;
  /** Kills what trains; whether there was something. */
  killTraining(): Promise<boolean>;
}

export interface Launcher {
  /** Added to the name of what is tested. */
  readonly where: string;
  readonly isThere: boolean;
  readonly isDesktop: boolean;
  /** Opens the window of the site in `folderOf(home)`, where everything else of the person is kept in `home` too. */
  open(home: string): Promise<SiteWindow>;
  /** Ends every program and browser that was started. */
  close(): Promise<void>;
}

/** Where the site of a person lies. */
export const folderOf = (home: string): string => join(home, 'site');

/** As one who has the path in the clipboard. */
export async function chooseByPath({ page }: TestWindow, path: string): Promise<void> {
  await (await button(page, en.data.connect)).click();
  const field = page.getByLabel(en.files.path);
  await field.fill(path);
  await field.press('Enter');
}

function inBrowser(): Launcher {
  let browser: Promise<Browser> | null = null;
  const ends: (() => Promise<unknown>)[] = [];
  return {
    where: skipped,
    isThere: isBrowserThere,
    isDesktop: false,
    open: async (home) => {
      browser ??= openBrowser();
      const program = start('site', 'ui', '--dir', folderOf(home));
      ends.push(() => program.stop());
      const window = await openWindow(await browser, String((await program.line('listening')).url));
      return {
        ...window,
        choose: (path) => chooseByPath(window, path),
        connect: async (path) => {
          await chooseByPath(window, path);
          await button(window.page, en.data.import);
        },
        killProgram: async () => {
          program.kill('SIGKILL');
          await program.stop();
        },
        killTraining: () => Promise.resolve(killAll(childrenOf(program.pid, 'training-process'))),
        close: async () => {
          await window.close();
          await program.stop();
        },
      };
    },
    close: async () => {
      await (await browser)?.close();
      await Promise.all(ends.map((end) => end()));
    },
  };
}

function onDesktop(stand: 'Electron' | 'a stand-in for Electron', isThere: boolean): Launcher {
  let browser: Promise<Browser> | null = null;
  const ends: (() => Promise<unknown>)[] = [];
  return {
    where: ` in ${stand}`,
    isThere,
    isDesktop: true,
    open: async (home) => {
      const window =
        stand === 'Electron'
          ? await openElectron(home)
          : await openOnStandIn(await (browser ??= openBrowser()), home);
      let quitting: Promise<void> | null = null;
      const quit = () => (quitting ??= window.quit());
      ends.push(quit);
      const choose = async (path: string): Promise<void> => {
        await window.choose(path);
        await (await button(window.page, en.data.connect)).click();
      };
      return {
        ...window,
        choose,
        connect: async (path) => {
          await choose(path);
          await button(window.page, en.data.import);
        },
        killProgram: () => Promise.reject(new Error('The window would end with it.')),
        killTraining: async () => killAll(await window.trainers()),
        close: quit,
      };
    },
    close: async () => {
      await Promise.all(ends.map((end) => end()));
      await (await browser)?.close();
    },
  };
}

function killAll(processes: readonly number[]): boolean {
  for (const pid of processes) process.kill(pid, 'SIGKILL');
  return processes.length > 0;
}

const standsIn = process.env['TRIBUTARY_STAND_IN'] === '1';

/** Describes the same for the browser, where there is one, and for the desktop program, where it can run. */
export function describeWindow(title: string, body: (launcher: Launcher) => void): void {
  const all = [
    inBrowser(),
    ...(isElectronThere ? [onDesktop('Electron', true)] : []),
    ...(standsIn ? [onDesktop('a stand-in for Electron', isBrowserThere)] : []),
  ];
  for (const launcher of all) {
    describe.skipIf(!launcher.isThere)(`${title}${launcher.where}`, () => {
      afterEach(async ({ task }) => {
        if (task.result?.state === 'fail') await shootFailure(task.name);
      });
      body(launcher);
    });
  }
}

export interface Person {
  /** For the files of this person; the rest lies in `home` in it. */
  readonly folder: string;
  readonly home: string;
  readonly window: SiteWindow;
}

/** For all tests of a description: a person who has opened the window and gone on without a federation. */
export function oneAlone(launcher: Launcher): Person {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-e2e-'));
  const home = join(folder, 'home');
  let window: SiteWindow | undefined;
  beforeAll(async () => {
    window = await launcher.open(home);
    await (await button(window.page, en.welcome.alone)).click();
  }, PATIENCE);
  afterAll(async () => {
    await launcher.close();
    rmSync(folder, { recursive: true, force: true });
  }, PATIENCE);
  return {
    folder,
    home,
    get window() {
      if (window === undefined) throw new Error('The window is opened before the first test, not earlier.');
      return window;
    },
  };
}
