/** @file The desktop program, put together: one site in this process, one window, and what the system is told of both. */

import { join } from 'node:path';
import { replaceStartChild } from '../../core/child-programs.ts';
import { TributaryError } from '../../core/errors.ts';
import { dataFolder } from '../../core/folders.ts';
import { preloadPath, windowPages } from '../../core/programs.ts';
import { problemOf } from '../../core/bridge/problem.ts';
import { openSiteProgram } from '../site-program.ts';
import type { SiteProgram } from '../site-program.ts';
import type { Electron } from './electron.ts';
import { guardContents, guardSession } from './guards.ts';
import { serveIpc } from './ipc.ts';
import { secretsOf } from './keychain.ts';
import { createInbox, invitationAmong, invitationOf, LINK_SCHEME } from './links.ts';
import type { Inbox } from './links.ts';
import { HIDDEN } from './login-item.ts';
import { tellOutside } from './outside.ts';
import { declareScheme, servePages } from './pages.ts';
import { quitInOrder } from './quit.ts';
import { surfaceAnswers } from './surface-answers.ts';
import { wordsFor } from './strings.ts';
import { systemSurroundings } from './surroundings.ts';
import type { Surroundings } from './surroundings.ts';
import { utilityPrograms } from './utility-programs.ts';
import { createWindow } from './window.ts';
import type { MainWindow } from './window.ts';

/**
 * Starts it; a second instance hands what it was started with to the first and ends. Resolves when the site is open, or
 * blocked with the window saying why.
 */
export async function startDesktop(
  electron: Electron,
  around: Surroundings = systemSurroundings(),
): Promise<void> {
  const { app } = electron;
  const home = dataFolder();
  app.enableSandbox();
  declareScheme(electron.protocol);
  app.setPath('userData', join(home, 'window'));
  if (!app.requestSingleInstanceLock()) {
    app.quit();
    return;
  }
  replaceStartChild(utilityPrograms(electron.utilityProcess));
  const inbox = createInbox();
  app.on('open-url', (event, link) => {
    event.preventDefault();
    inbox.put(invitationOf(link));
  });
  app.on('web-contents-created', (_, contents) => guardContents(contents));
  await app.whenReady();

  guardSession(electron.session.defaultSession);
  servePages(electron.protocol, windowPages());
  setMenu(electron, around);
  if (app.isPackaged) app.setAsDefaultProtocolClient(LINK_SCHEME);
  let tellCrash: (reason: string) => void = () => undefined;
  const window = createWindow(electron, {
    ...{ state: join(home, 'window.json'), preload: preloadPath(), isPackaged: app.isPackaged },
    onCrash: (reason) => tellCrash(reason),
    onGivenUp: () => electron.dialog.showErrorBox('Tributary', wordsFor(null, app.getLocale()).keepsCrashing),
  });
  const opening = openSite(electron, around, { folder: join(home, 'site'), window, inbox });
  const dispatcher = opening.then((site) => site.dispatcher);
  serveIpc(electron.ipcMain, () => window.current()?.webContents ?? null, dispatcher);

  inbox.put(invitationAmong(around.words));
  inbox.onArrival(window.open);
  app.on('second-instance', (_, words) => {
    inbox.put(invitationAmong(words));
    window.open();
  });
  app.on('activate', window.open);
  if (!around.words.includes(HIDDEN)) window.open();

  const site = await opening.catch(() => null);
  if (site === null) {
    // The window says why, as the answer to whatever it asks.
    app.on('window-all-closed', () => app.quit());
    return;
  }
  inbox.onArrival(() => site.dispatcher.emit('changed', { what: 'link' }));
  tellCrash = (reason) => {
    site.log.error({ reason }, 'the page has crashed');
    const what = `The window had ended unexpectedly (${reason}) and was opened again.`;
    site.dispatcher.emit('problem', problemOf(new TributaryError('window.crashed', what)));
  };
  app.on('child-process-gone', (_, { type, reason, serviceName, exitCode }) =>
    site.log.error({ type, reason, serviceName, exitCode }, 'a process of the program has ended'),
  );
  const outside = tellOutside(electron, site, window, around);
  quitInOrder(electron, async () => {
    outside.close();
    await window.settled();
    await site.application.close();
  });
  // Another command has told the site to stop.
  void site.application.stopped.then(() => app.quit());
}

async function openSite(
  electron: Electron,
  { platform }: Surroundings,
  { folder, window, inbox }: { folder: string; window: MainWindow; inbox: Inbox },
): Promise<SiteProgram> {
  const { kind, store } = await secretsOf(folder, electron.safeStorage, platform);
  return openSiteProgram({
    ...{ folder, engine: {}, logLevel: 'info', resident: true, secrets: store },
    program: { surface: 'desktop', secrets: kind },
    onNote: () => undefined,
    answers: () =>
      surfaceAnswers(electron, {
        ...{ folder, window: window.current },
        takeInvitation: () => inbox.take(),
      }),
    commands: () => ({
      // `site ui` on this folder finds the window that is there.
      window: () => {
        window.open();
        throw new TributaryError('folder.locked', `The desktop program shows the window of ${folder}.`);
      },
    }),
  });
}

/** Keys for copying and pasting stand in a menu on macOS alone. */
function setMenu({ Menu }: Pick<Electron, 'Menu'>, { platform }: Surroundings): void {
  const roles = [{ role: 'appMenu' }, { role: 'editMenu' }, { role: 'windowMenu' }] as const;
  Menu.setApplicationMenu(platform === 'darwin' ? Menu.buildFromTemplate([...roles]) : null);
}
