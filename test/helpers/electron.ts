/**
 * @file Electron as far as the desktop program uses it, without Electron: what is asked of the system is recorded, what
 * the system would do is done by the test. Utility processes are real processes that see Electron's parent port.
 */

import { fork } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import type { Rectangle } from 'electron';
import type { Electron } from '../../main/desktop/electron.ts';

type Handler = (...given: unknown[]) => unknown;

/** An event as Electron gives it. */
export function electronEvent<Fields extends object>(fields: Fields = {} as Fields) {
  const event = { ...fields, prevented: false, preventDefault: () => void (event.prevented = true) };
  return event;
}

export class FakeContents extends EventEmitter {
  readonly sent: { readonly channel: string; readonly text: string }[] = [];
  readonly mainFrame: { url: string; parent: object | null } = { url: 'about:blank', parent: null };
  openHandler: ((details: { url: string }) => { action: string }) | null = null;
  /** Told of what the page is sent. */
  onSend: (channel: string, text: string) => void = () => undefined;

  setWindowOpenHandler(handler: (details: { url: string }) => { action: string }): void {
    this.openHandler = handler;
  }
  send(channel: string, text: string): void {
    this.sent.push({ channel, text });
    this.onSend(channel, text);
  }
  isDestroyed(): boolean {
    return false;
  }
}

export class FakeWindow extends EventEmitter {
  readonly webContents = new FakeContents();
  readonly loaded: string[] = [];
  isShown = false;
  focused = false;
  bounds: Rectangle = { x: 10, y: 20, width: 1000, height: 700 };
  #destroyed = false;
  readonly #world: World;
  readonly options: Record<string, unknown>;

  constructor(world: World, options: Record<string, unknown>) {
    super();
    this.#world = world;
    this.options = options;
    world.windows.push(this);
    world.app.emit('web-contents-created', {}, this.webContents);
  }

  loadURL(url: string): Promise<void> {
    this.loaded.push(url);
    this.webContents.mainFrame.url = url;
    setImmediate(() => {
      this.emit('ready-to-show');
      this.webContents.emit('did-finish-load');
    });
    return Promise.resolve();
  }
  show(): void {
    this.isShown = true;
  }
  focus(): void {
    this.focused = true;
  }
  maximize(): void {}
  restore(): void {}
  isMinimized = (): boolean => false;
  isMaximized = (): boolean => false;
  isFocused = (): boolean => this.focused;
  isDestroyed = (): boolean => this.#destroyed;
  getNormalBounds = (): Rectangle => this.bounds;
  /** A person closes it. */
  close(): void {
    this.emit('close', electronEvent());
    this.destroy();
  }
  destroy(): void {
    this.#destroyed = true;
    this.emit('closed');
    if (this.#world.windows.every((window) => window.isDestroyed()))
      this.#world.app.emit('window-all-closed');
  }
}

export class FakeApp extends EventEmitter {
  readonly calls: (readonly unknown[])[] = [];
  isPackaged = true;
  isFirst = true;
  locale = 'en-GB';
  ended = false;

  /** Calls of one name, with what was given. */
  called(name: string): (readonly unknown[])[] {
    return this.calls.flatMap(([what, ...given]) => (what === name ? [given] : []));
  }
  enableSandbox = (): void => void this.calls.push(['enableSandbox']);
  setPath = (name: string, path: string): void => void this.calls.push(['setPath', name, path]);
  requestSingleInstanceLock = (): boolean => this.isFirst;
  whenReady = (): Promise<void> => Promise.resolve();
  getLocale = (): string => this.locale;
  setAsDefaultProtocolClient = (scheme: string): boolean =>
    this.calls.push(['setAsDefaultProtocolClient', scheme]) > 0;
  setLoginItemSettings = (settings: object): void => void this.calls.push(['setLoginItemSettings', settings]);
  quit = (): void => {
    this.calls.push(['quit']);
    const event = electronEvent();
    this.emit('before-quit', event);
    if (event.prevented || this.ended) return;
    this.ended = true;
    this.emit('ended');
  };
}

export interface FakeNotice {
  readonly body: string;
  click(): void;
}

export interface FakeTray {
  tip: string;
  menu: { readonly label?: string; readonly click?: () => void }[];
  isOpen: boolean;
}

/** A system around the desktop program, with what the program has done to it. */
export class World {
  readonly app = new FakeApp();
  readonly windows: FakeWindow[] = [];
  readonly handlers = new Map<string, Handler>();
  readonly schemes: { scheme: string; privileges: Record<string, boolean> }[] = [];
  readonly notices: FakeNotice[] = [];
  readonly trays: FakeTray[] = [];
  readonly blockers = new Set<number>();
  readonly revealed: string[] = [];
  readonly boxes: string[] = [];
  readonly sessionHandlers = new Map<string, Handler>();
  readonly session = new EventEmitter();
  readonly powerMonitor = new EventEmitter();
  /** What a person chooses in the next dialogs. */
  chosen: string | null = null;
  readonly dialogs: Record<string, unknown>[] = [];
  displays: Rectangle[] = [{ x: 0, y: 0, width: 1920, height: 1080 }];
  keychain = { isThere: true, backend: 'gnome_libsecret', isLocked: false, isOld: false };
  pages: (request: Request) => Promise<Response> = () => Promise.reject(new Error('no scheme is handled'));

  /** What the page of a window asks, or whoever says to be it. */
  invoke(
    channel: string,
    given: readonly unknown[],
    from: { readonly sender?: unknown; readonly senderFrame?: unknown } = {},
  ): Promise<unknown> {
    const contents = this.windows.at(-1)?.webContents;
    const event = { sender: contents, senderFrame: contents?.mainFrame, ...from };
    const handler = this.handlers.get(channel);
    if (!handler) return Promise.reject(new Error(`No handler registered for '${channel}'`));
    // What goes between processes is cloned.
    return Promise.resolve(handler(event, ...structuredClone(given))).then((answer) =>
      structuredClone(answer),
    );
  }

  get electron(): Electron {
    return electronOf(this);
  }
}

function electronOf(world: World): Electron {
  const keep =
    (name: string) =>
    (handler: Handler): void =>
      void world.sessionHandlers.set(name, handler);
  const choose = (...given: unknown[]) => {
    world.dialogs.push(given.at(-1) as Record<string, unknown>);
    const { chosen } = world;
    return Promise.resolve({
      canceled: chosen === null,
      filePaths: chosen === null ? [] : [chosen],
      filePath: chosen ?? '',
    });
  };
  const fakes = {
    app: world.app,
    BrowserWindow: function (options: Record<string, unknown>) {
      return new FakeWindow(world, options);
    },
    dialog: {
      showOpenDialog: choose,
      showSaveDialog: choose,
      showErrorBox: (_: string, text: string) => void world.boxes.push(text),
    },
    ipcMain: { handle: (channel: string, handler: Handler) => void world.handlers.set(channel, handler) },
    Menu: {
      setApplicationMenu: () => undefined,
      buildFromTemplate: (template: object) => template,
    },
    nativeImage: { createFromPath: (path: string) => ({ path }) },
    Notification: Object.assign(
      function ({ body }: { body: string }) {
        const notice = new EventEmitter();
        return Object.assign(notice, {
          show: () => void world.notices.push({ body, click: () => void notice.emit('click') }),
        });
      },
      { isSupported: () => true },
    ),
    powerMonitor: world.powerMonitor,
    powerSaveBlocker: {
      start: () => {
        const id = world.blockers.size + 1;
        world.blockers.add(id);
        return id;
      },
      stop: (id: number) => void world.blockers.delete(id),
    },
    protocol: {
      registerSchemesAsPrivileged: (schemes: World['schemes']) => void world.schemes.push(...schemes),
      handle: (_: string, handler: World['pages']) => void (world.pages = handler),
    },
    safeStorage: {
      isAsyncEncryptionAvailable: () => Promise.resolve(world.keychain.isThere),
      getSelectedStorageBackend: () => world.keychain.backend,
      encryptStringAsync: (text: string) => Promise.resolve(Buffer.from(`sealed ${mirrored(text)}`)),
      decryptStringAsync: (sealed: Buffer) => {
        const text = sealed.toString();
        if (world.keychain.isLocked || !text.startsWith('sealed '))
          return Promise.reject(new Error('Error while decrypting the ciphertext'));
        return Promise.resolve({ result: mirrored(text.slice(7)), shouldReEncrypt: world.keychain.isOld });
      },
    },
    screen: { getAllDisplays: () => world.displays.map((workArea) => ({ workArea })) },
    session: {
      defaultSession: Object.assign(world.session, {
        setPermissionRequestHandler: keep('permission request'),
        setPermissionCheckHandler: keep('permission check'),
        setDevicePermissionHandler: keep('device'),
        setSpellCheckerEnabled: (isOn: boolean) => world.sessionHandlers.set('spelling', () => isOn),
        webRequest: { onBeforeRequest: keep('request') },
      }),
    },
    shell: {
      showItemInFolder: (path: string) => void world.revealed.push(path),
      openExternal: () => {
        throw new Error('the program opens no address outside itself');
      },
    },
    Tray: function () {
      const tray: FakeTray = { tip: '', menu: [], isOpen: true };
      world.trays.push(tray);
      return {
        on: () => undefined,
        setToolTip: (text: string) => void (tray.tip = text),
        setContextMenu: (menu: FakeTray['menu']) => void (tray.menu = menu),
        destroy: () => void (tray.isOpen = false),
      };
    },
    utilityProcess: { fork: forkAsUtility },
  };
  return fakes as unknown as Electron;
}

/** No cipher, but no text that could be found on the disk either. */
function mirrored(text: string): string {
  return [...text].map((letter) => String.fromCodePoint((letter.codePointAt(0) ?? 0) ^ 1)).join('');
}

/** Electron's `utilityProcess.fork` over a forked process: no channel that could be closed, no signal that is told. */
function forkAsUtility(
  path: string,
  words: readonly string[],
  options: {
    readonly execArgv?: string[];
    readonly stdio?: 'ignore' | 'inherit';
    readonly env?: NodeJS.ProcessEnv;
  },
): EventEmitter {
  const { execArgv = [], stdio = 'inherit', env } = options;
  const shim = join(import.meta.dirname, 'parent-port.js');
  const child = fork(path, [...words], {
    serialization: 'advanced',
    stdio: [stdio, stdio, stdio, 'ipc'],
    execArgv: ['--import', shim, ...execArgv],
    ...(env && { env }),
  });
  const utility = Object.assign(new EventEmitter(), {
    pid: child.pid,
    postMessage: (message: object) => void child.send(structuredClone(message)),
    kill: () => child.kill(),
  });
  child.on('message', (message) => utility.emit('message', message));
  child.on('spawn', () => utility.emit('spawn'));
  child.on('exit', (code, signal) => {
    utility.pid = undefined;
    utility.emit('exit', code ?? (signal === 'SIGKILL' ? 9 : 1));
  });
  return utility;
}
