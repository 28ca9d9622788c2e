/** @file What a page may not do in the desktop program, whatever got into it. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CONTENT_SECURITY_POLICY } from '../../core/bridge/security.ts';
import { guardContents, guardSession } from '../../main/desktop/guards.ts';
import { isOurPage, isOurs, PAGE } from '../../main/desktop/origin.ts';
import { declareScheme, servePages } from '../../main/desktop/pages.ts';
import { windowOptions } from '../../main/desktop/window.ts';
import { electronEvent, FakeContents, World } from '../helpers/electron.ts';

/** Places that a page could be led to. */
const HOSTILE = [
  'https://evil.example/',
  'http://tributary/',
  'http://app//tributary/',
  'https://tributary.evil.example/',
  'file:///etc/passwd',
  'file://server/share/page.html',
  '\\\\server\\share\\page.html',
  '//server/share/page.html',
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'blob:app://tributary/0',
  'about:blank',
  'chrome://settings',
  'devtools://devtools/bundled/inspector.html',
  'view-source:app://tributary/',
  'app://evil/',
  'app://tributary.evil.example/',
  'app://tributary:8080/',
  'app://user@tributary/',
  'app://tributary@evil.example/',
  'app://TRIBUTARY/',
  'app:/tributary/',
  'app:tributary',
  'apps://tributary/',
  'tributary://join/x',
  'mailto:someone@example.org',
  'ms-msdt:/id PCWDiagnostic',
  'smb://server/share',
  '',
  'not an address',
];

describe('the window', () => {
  it('has no Node, an isolated and sandboxed page, and no developer’s tools once it is installed', () => {
    const { webPreferences } = windowOptions('/preload.cjs', true);
    expect(webPreferences).toEqual({
      preload: '/preload.cjs',
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
      devTools: false,
    });
    expect(windowOptions('/preload.cjs', false).webPreferences).toMatchObject({ devTools: true });
  });

  it.each(HOSTILE)('goes nowhere else, is not redirected and opens nothing: %j', (url) => {
    const contents = new FakeContents();
    guardContents(contents as never);
    for (const name of ['will-navigate', 'will-frame-navigate', 'will-redirect']) {
      for (const isMainFrame of [true, false]) {
        const event = electronEvent({ url, isMainFrame });
        contents.emit(name, event);
        expect(event.prevented, name).toBe(true);
      }
    }
    expect(contents.openHandler?.({ url })).toEqual({ action: 'deny' });
    expect(isOurs(url)).toBe(false);
  });

  it('stays where it is, and no frame in it may become it', () => {
    const contents = new FakeContents();
    guardContents(contents as never);
    const own = electronEvent({ url: `${PAGE}#/data`, isMainFrame: true });
    contents.emit('will-navigate', own);
    expect(own.prevented).toBe(false);
    const frame = electronEvent({ url: PAGE, isMainFrame: false });
    contents.emit('will-frame-navigate', frame);
    expect(frame.prevented).toBe(true);
    const script = electronEvent({ url: `${PAGE}assets/index.js`, isMainFrame: true });
    contents.emit('will-navigate', script);
    expect(script.prevented).toBe(true);
    expect(contents.openHandler?.({ url: PAGE })).toEqual({ action: 'deny' });
  });

  it('holds no webview', () => {
    const contents = new FakeContents();
    guardContents(contents as never);
    const event = electronEvent();
    contents.emit('will-attach-webview', event);
    expect(event.prevented).toBe(true);
  });
});

describe('the session', () => {
  let world: World;
  const handler = (name: string) => world.sessionHandlers.get(name) as (...given: unknown[]) => unknown;
  beforeEach(() => {
    world = new World();
    guardSession(world.electron.session.defaultSession);
  });

  it.each([
    'media',
    'geolocation',
    'clipboard-read',
    'fullscreen',
    'pointerLock',
    'midi',
    'openExternal',
    'display-capture',
    'idle-detection',
    'fileSystem',
    'hid',
    'serial',
    'usb',
    'window-management',
    'storage-access',
    'unknown',
  ])('denies %s, asked for and looked up', (permission) => {
    let given: unknown;
    const details = { requestingUrl: PAGE, isMainFrame: true };
    handler('permission request')(null, permission, (answer: boolean) => (given = answer), details);
    expect(given).toBe(false);
    expect(handler('permission check')(null, permission, 'app://tributary', details)).toBe(false);
    expect(handler('device')({})).toBe(false);
  });

  it.each(['clipboard-sanitized-write', 'notifications'])('grants %s to its own page alone', (permission) => {
    const ask = (requestingUrl: string, isMainFrame = true): unknown => {
      let given: unknown;
      const details = { requestingUrl, isMainFrame };
      handler('permission request')(null, permission, (answer: boolean) => (given = answer), details);
      expect(handler('permission check')(null, permission, requestingUrl, details)).toBe(given);
      return given;
    };
    expect(ask(PAGE)).toBe(true);
    expect(ask(PAGE, false)).toBe(false);
    for (const url of HOSTILE) expect(ask(url), url).toBe(false);
  });

  it('loads nothing but the window’s own files and pictures that stand in them', () => {
    const isStopped = (url: string, resourceType = 'script'): unknown => {
      let stopped: unknown;
      handler('request')({ url, resourceType }, ({ cancel }: { cancel: boolean }) => (stopped = cancel));
      return stopped;
    };
    expect(isStopped(`${PAGE}assets/index.js`)).toBe(false);
    expect(isStopped('data:image/png;base64,AAAA', 'image')).toBe(false);
    for (const url of [...HOSTILE, 'ws://127.0.0.1:1/', 'wss://evil.example/'])
      for (const type of ['script', 'mainFrame', 'xhr', 'webSocket', 'image'])
        if (!(type === 'image' && url.startsWith('data:'))) expect(isStopped(url, type), url).toBe(true);
    expect(handler('spelling')()).toBe(false);
    const download = electronEvent();
    world.session.emit('will-download', download);
    expect(download.prevented).toBe(true);
  });
});

describe('the scheme app://', () => {
  let folder: string;
  let world: World;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tributary-pages-'));
    mkdirSync(join(folder, 'pages', 'assets'), { recursive: true });
    writeFileSync(join(folder, 'pages', 'index.html'), '<!doctype html><title>Tributary</title>');
    writeFileSync(join(folder, 'pages', 'assets', 'index.js'), 'export {};');
    writeFileSync(join(folder, 'secret.html'), 'secret');
    symlinkSync(join(folder, 'secret.html'), join(folder, 'pages', 'link.html'));
    world = new World();
    declareScheme(world.electron.protocol);
    servePages(world.electron.protocol, join(folder, 'pages'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const get = (url: string, method = 'GET') => world.pages(new Request(url, { method }));

  it('has an origin of its own and neither service workers nor a way around the content policy', () => {
    const [{ scheme, privileges }] = world.schemes;
    expect(scheme).toBe('app');
    expect(privileges).toMatchObject({ standard: true, secure: true });
    expect(privileges).not.toHaveProperty('bypassCSP');
    expect(privileges).not.toHaveProperty('allowServiceWorkers');
    expect(privileges).not.toHaveProperty('corsEnabled');
  });

  it('gives the built window’s files with the content policy, and nothing else', async () => {
    const page = await get(PAGE);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('Tributary');
    expect(page.headers.get('content-security-policy')).toBe(CONTENT_SECURITY_POLICY);
    expect(CONTENT_SECURITY_POLICY).toMatch(/^default-src 'none'; script-src 'self'; /);
    expect(CONTENT_SECURITY_POLICY).not.toMatch(/unsafe-eval|script-src[^;]*unsafe|https?:|\*/);
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await get('app://tributary/assets/index.js')).headers.get('content-type')).toContain(
      'javascript',
    );
    const head = await get(PAGE, 'HEAD');
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect((await get(PAGE, 'POST')).status).toBe(405);
    for (const url of [
      'app://evil/index.html',
      'app://tributary/link.html',
      'app://tributary/../secret.html',
      'app://tributary/..%2fsecret.html',
      'app://tributary/%2e%2e/secret.html',
      'app://tributary//etc/passwd',
      'app://tributary/assets/',
    ]) {
      const answer = await get(url);
      expect(answer.status, url).toBe(404);
      expect(answer.headers.get('content-security-policy'), url).toBe(CONTENT_SECURITY_POLICY);
    }
  });

  it('gives nothing of what lies outside, whatever the path', async () => {
    const parts = ['.', '/', '%2e', '%2f', '%5c', 'secret', '.html', '%00', 'a', '?', '#'];
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: fc.constantFrom(...parts) }), async (path) => {
        expect(await (await get(`app://tributary/${path}`)).text()).not.toContain('secret');
      }),
    );
  });
});

describe('what is the window’s own', () => {
  it('is its scheme and host, and no text makes it throw', () => {
    expect(isOurs('app://tributary')).toBe(true);
    expect(isOurPage('app://tributary/#/join')).toBe(true);
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(isOurs(text)).toBe(false);
        // Whatever follows a host that is longer than ours is another host.
        expect(isOurs(`app://tributary${text.replace(/[/?#\s\\]/g, '')}x`)).toBe(false);
      }),
    );
  });
});
