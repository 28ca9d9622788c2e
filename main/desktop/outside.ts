/** @file What the system is told of the site beside its window: the icon by the clock, notices, no sleep while it trains. */

import { join } from 'node:path';
import type { EventBody } from '../../core/bridge/contract.ts';
import { toContract } from '../../core/bridge/site/application.ts';
import { resourcesFolder } from '../../core/resources.ts';
import type { SiteProgram } from '../site-program.ts';
import { createAwake } from './awake.ts';
import type { Electron } from './electron.ts';
import { setLoginItem } from './login-item.ts';
import { createNotices } from './notices.ts';
import { wordsFor } from './strings.ts';
import type { Surroundings } from './surroundings.ts';
import { createTray } from './tray.ts';
import { createUpdates } from './updates.ts';
import type { MainWindow } from './window.ts';
import { followWork } from './work.ts';
import type { Work } from './work.ts';

export function tellOutside(
  electron: Electron,
  { application, dispatcher, log }: SiteProgram,
  window: MainWindow,
  around: Surroundings,
): { close(): void } {
  const { app } = electron;
  const settings = () => application.settings.get();
  const words = () => wordsFor(settings().locale, app.getLocale());
  const showNotice = createNotices(electron, window.open);
  const notify = (sentence: string): void => {
    if (settings().notify && window.current()?.isFocused() !== true) showNotice(sentence);
  };
  const tray = createTray(electron, {
    // macOS draws it in the colour of its bar.
    icon: join(resourcesFolder(), 'desktop', around.platform === 'darwin' ? 'trayTemplate.png' : 'tray.png'),
    ...{ words, onOpen: window.open, onQuit: () => app.quit() },
  });
  const stayAwake = createAwake(electron.powerSaveBlocker);
  const updates = createUpdates({
    ...{ settings, log, load: around.loadUpdater },
    onReady: () => notify(words().updateReady),
  });
  let work: Work = { status: null, training: false };
  let startsAtLogin = settings().startAtLogin;
  let hasSaidThatItGoesOn = false;

  function show(): void {
    tray.show(work);
    stayAwake(work.training && settings().keepAwake);
  }

  function takeSettings(): void {
    show();
    void updates.look();
    const { startAtLogin } = settings();
    if (startAtLogin === startsAtLogin) return;
    startsAtLogin = startAtLogin;
    setLoginItem(app, startAtLogin, around).catch((error: unknown) =>
      log.warn({ error: String(error) }, 'the start at login was not changed'),
    );
  }

  const status = application.blocked() === null ? toContract(application.site().status()) : null;
  const takeStatus = followWork(dispatcher, status, {
    onWork: (now) => {
      work = now;
      show();
    },
    onEnd: ({ subject, how }) =>
      notify(how === 'completed' ? words().runCompleted(subject) : words().runFailed(subject)),
    onWait: (run) => notify(words().runWaits(run)),
  });
  application.onOpen((site) => takeStatus(toContract(site.status())));
  dispatcher.listen((event, body) => {
    if (event === 'changed' && (body as EventBody<'changed'>).what === 'settings') takeSettings();
  });
  // A member goes on taking part without its window; whoever has joined nothing has closed the program.
  app.on('window-all-closed', () => {
    if (!work.training && (work.status?.federation ?? null) === null) app.quit();
    else if (!hasSaidThatItGoesOn) {
      hasSaidThatItGoesOn = true;
      notify(words().goesOn);
    }
  });
  void updates.look();

  return {
    close: () => {
      updates.close();
      stayAwake(false);
      tray.close();
    },
  };
}
