/** @file The one window: what its page may, where it stands, and that it comes back when its page has crashed. */

import type { BrowserWindow, BrowserWindowConstructorOptions } from 'electron';
import type { Electron } from './electron.ts';
import { PAGE } from './origin.ts';
import { readWindowState, SMALLEST, writeWindowState } from './window-state.ts';

/** Changes of place come by the dozen. */
const SETTLE_MILLISECONDS = 400;
/** A page that crashes so often within so long is given up. */
const CRASHES = 3;
const CRASH_MILLISECONDS = 60_000;

/** @param isPackaged a program that is installed has no developer's tools */
export function windowOptions(
  preload: string,
  isPackaged: boolean,
): BrowserWindowConstructorOptions & { readonly webPreferences: object } {
  return {
    title: 'Tributary',
    minWidth: SMALLEST.width,
    minHeight: SMALLEST.height,
    show: false,
    autoHideMenuBar: true,
    webPreferences: {
      preload,
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      allowRunningInsecureContent: false,
      experimentalFeatures: false,
      webviewTag: false,
      navigateOnDragDrop: false,
      safeDialogs: true,
      spellcheck: false,
      devTools: !isPackaged,
    },
  };
}

export interface WindowOptions {
  /** File of the window's place. */
  readonly state: string;
  readonly preload: string;
  readonly isPackaged: boolean;
  /** The page was loaded again after it had ended in this way. */
  readonly onCrash: (reason: string) => void;
  /** It ends again and again; its window was closed. */
  readonly onGivenUp: () => void;
}

export interface MainWindow {
  /** Null while it is closed. */
  readonly current: () => BrowserWindow | null;
  /** Opens it, or brings it to the front. */
  readonly open: () => void;
  /** Resolves when its place is on disk. */
  readonly settled: () => Promise<void>;
}

export function createWindow(
  { BrowserWindow, screen }: Pick<Electron, 'BrowserWindow' | 'screen'>,
  { state, preload, isPackaged, onCrash, onGivenUp }: WindowOptions,
): MainWindow {
  let window: BrowserWindow | null = null;
  let writing: Promise<void> = Promise.resolve();
  const crashes: number[] = [];

  function keepPlace(opened: BrowserWindow): void {
    let timer: NodeJS.Timeout | undefined;
    const write = (): void => {
      clearTimeout(timer);
      if (opened.isDestroyed()) return;
      const place = { ...opened.getNormalBounds(), maximized: opened.isMaximized() };
      // A window that cannot keep its place is no reason to trouble anybody.
      writing = writing.then(() => writeWindowState(state, place)).catch(() => undefined);
    };
    const later = (): void => {
      clearTimeout(timer);
      timer = setTimeout(write, SETTLE_MILLISECONDS);
    };
    opened.on('resize', later);
    opened.on('move', later);
    opened.on('maximize', later);
    opened.on('unmaximize', later);
    opened.on('close', write);
  }

  function comeBack(opened: BrowserWindow): void {
    opened.webContents.on('render-process-gone', (_, { reason }) => {
      if (reason === 'clean-exit' || opened.isDestroyed()) return;
      const now = Date.now();
      crashes.push(now);
      if (crashes.filter((time) => now - time < CRASH_MILLISECONDS).length > CRASHES) {
        opened.destroy();
        onGivenUp();
        return;
      }
      opened.webContents.once('did-finish-load', () => onCrash(reason));
      void opened.loadURL(PAGE);
    });
  }

  function create(): BrowserWindow {
    const screens = screen.getAllDisplays().map(({ workArea }) => workArea);
    const { maximized, ...bounds } = readWindowState(state, screens);
    const opened = new BrowserWindow({ ...windowOptions(preload, isPackaged), ...bounds });
    opened.once('ready-to-show', () => {
      if (maximized) opened.maximize();
      opened.show();
    });
    keepPlace(opened);
    comeBack(opened);
    opened.on('closed', () => (window = null));
    void opened.loadURL(PAGE);
    return opened;
  }

  return {
    current: () => window,
    open: () => {
      if (window === null) {
        window = create();
        return;
      }
      if (window.isMinimized()) window.restore();
      window.show();
      window.focus();
    },
    settled: () => writing,
  };
}
