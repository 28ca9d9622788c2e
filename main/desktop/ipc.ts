/**
 * @file The bridge over Electron's IPC. Whoever asks has to be the one page of the one window; what is asked goes
 * through the same check as in browser mode.
 */

import type { IpcMain, IpcMainInvokeEvent, WebContents } from 'electron';
import type { Dispatcher } from '../../core/bridge/dispatch.ts';
import { toBridgeError } from '../../core/bridge/dispatch.ts';
import { TributaryError } from '../../core/errors.ts';
import { ASK, EVENT } from './channels.ts';
import { isOurPage } from './origin.ts';

/** As much as the loopback server takes. */
const MAX_INPUT_CHARACTERS = 4 * 1024 * 1024;

/** Contents of the window as it is now; null while there is none. */
export type Contents = () => Pick<WebContents, 'send' | 'isDestroyed' | 'mainFrame'> | null;

/** @param dispatcher awaited, so that the page may ask before the site is open */
export function serveIpc(
  ipcMain: Pick<IpcMain, 'handle'>,
  contents: Contents,
  dispatcher: Promise<Dispatcher>,
): void {
  ipcMain.handle(ASK, async (event, name: unknown, input: unknown) => {
    if (!isOurWindow(event, contents())) throw new Error('This page may not ask.');
    return JSON.stringify(await answer(dispatcher, name, input));
  });
  const tell = (event: string, body: unknown): void => {
    const window = contents();
    if (window === null || window.isDestroyed() || !isOurPage(window.mainFrame.url)) return;
    window.send(EVENT, JSON.stringify({ event, body }));
  };
  // Where there is none, every question is answered with the reason.
  dispatcher.then((opened) => opened.listen(tell)).catch(() => undefined);
}

/** The page itself: no frame in it, no page that came in its place, no other window. */
function isOurWindow(
  { sender, senderFrame }: Pick<IpcMainInvokeEvent, 'sender' | 'senderFrame'>,
  window: ReturnType<Contents>,
): boolean {
  return (
    window !== null &&
    sender === window &&
    senderFrame !== null &&
    senderFrame.parent === null &&
    isOurPage(senderFrame.url)
  );
}

async function answer(dispatcher: Promise<Dispatcher>, name: unknown, input: unknown): Promise<unknown> {
  try {
    if (typeof input !== 'string' || input.length > MAX_INPUT_CHARACTERS) throw notAQuestion();
    return await (await dispatcher).answer(name, parse(input));
  } catch (thrown) {
    return { error: toBridgeError(thrown) };
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notAQuestion();
  }
}

function notAQuestion(): TributaryError {
  return new TributaryError('bridge.bad-input', 'What was asked is no question.');
}
