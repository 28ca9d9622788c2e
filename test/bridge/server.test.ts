/** @file The loopback server of browser mode: who gets in, and what cannot be got out of it. */

import { mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createDispatcher } from '../../core/bridge/dispatch.ts';
import type { Dispatcher } from '../../core/bridge/dispatch.ts';
import { CONTENT_SECURITY_POLICY } from '../../core/bridge/security.ts';
import { findPage } from '../../core/bridge/pages.ts';
import { serveWindow } from '../../core/bridge/server.ts';
import type { WindowServer } from '../../core/bridge/server.ts';

let folder: string;
let server: WindowServer;
let dispatcher: Dispatcher;
let clock = 0;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-window-'));
  mkdirSync(join(folder, 'pages', 'assets'), { recursive: true });
  writeFileSync(join(folder, 'pages', 'index.html'), '<!doctype html><title>Tributary</title>');
  writeFileSync(join(folder, 'pages', 'assets', 'main.js'), 'export {};');
  writeFileSync(join(folder, 'secret.html'), 'secret');
  symlinkSync(join(folder, 'secret.html'), join(folder, 'pages', 'link.html'));
  dispatcher = createDispatcher(() => ({ 'task.list': () => ({ tasks: [] }), 'task.cancel': () => ({}) }));
  server = await serveWindow({ dispatcher, pages: join(folder, 'pages'), now: () => clock });
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

const ours = () => `http://127.0.0.1:${server.port}`;

/** A request whose every header is said here, as a browser or an attacker would send it. */
function ask(
  path: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: object; body?: string } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        ...{ host: '127.0.0.1', port: server.port, path, method },
        headers: { host: `127.0.0.1:${server.port}`, ...headers },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(parts).toString(),
          }),
        );
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

const tokenOf = (address: string) => new URL(address).hash.slice('#token='.length);
const signIn = (token: string, headers: object = { origin: ours() }) =>
  ask('/session', { method: 'POST', headers, body: token });

async function cookie(): Promise<string> {
  const [set] = (await signIn(tokenOf(server.address()))).headers['set-cookie'] as string[];
  return set.split(';')[0];
}

/** Resolves with the open socket, with how it was refused, or with the code it was closed with. */
function connect(headers: Record<string, string>, path = '/bridge'): Promise<WebSocket | string> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, { headers });
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', (code) => resolve(`closed ${code}`));
    // A server that turns a window away does so before it answers a question.
    socket.on('open', () => socket.send(JSON.stringify({ id: 0, name: 'task.list', input: {} })));
    socket.on('message', () => resolve(socket));
  });
}

test('pages are given with the content security policy', async () => {
  const page = await ask('/');
  expect(page.status).toBe(200);
  expect(page.body).toContain('Tributary');
  expect(page.headers['content-security-policy']).toBe(CONTENT_SECURITY_POLICY);
  expect(page.headers['content-security-policy']).not.toMatch(/unsafe-eval|https?:|\*/);
  expect(page.headers['x-content-type-options']).toBe('nosniff');
  expect((await ask('/assets/main.js')).headers['content-type']).toContain('text/javascript');
});

test('a one-time token is good for one window and for ten minutes', async () => {
  const token = tokenOf(server.address());
  const first = await signIn(token);
  expect(first.status).toBe(204);
  expect(String(first.headers['set-cookie'])).toMatch(/HttpOnly; SameSite=Strict; Path=\//);
  expect((await signIn(token)).status).toBe(403);
  const late = tokenOf(server.address());
  clock += 11 * 60_000;
  expect((await signIn(late)).status).toBe(403);
  expect((await signIn('x'.repeat(43))).status).toBe(403);
  expect((await signIn('x'.repeat(5000))).status).toBe(403);
});

test('a token is not taken from another site, nor without an origin', async () => {
  for (const headers of [{}, { origin: 'https://evil.example' }, { origin: 'null' }]) {
    const token = tokenOf(server.address());
    expect((await signIn(token, headers)).status).toBe(403);
    expect((await signIn(token)).status).toBe(204);
  }
});

test('names bent to the loopback address are refused (DNS rebinding)', async () => {
  for (const host of [
    'evil.example',
    `evil.example:${server.port}`,
    `localhost:${server.port}`,
    '127.0.0.1',
  ]) {
    expect((await ask('/', { headers: { host } })).status, host).toBe(421);
    expect(await connect({ host, origin: `http://${host}`, cookie: await cookie() }), host).toMatch(/421/);
  }
});

test('the bridge opens for our own page with its cookie and for nobody else', async () => {
  const session = await cookie();
  const open = await connect({ origin: ours(), cookie: session });
  expect(open).toBeInstanceOf(WebSocket);
  expect(await connect({ origin: ours() })).toBe('closed 4401');
  expect(await connect({ origin: ours(), cookie: `tributary-${server.port}=guessed` })).toBe('closed 4401');
  expect(await connect({ origin: ours(), cookie: session.replace(/^\S+=/, 'tributary-1=') })).toBe(
    'closed 4401',
  );
  for (const origin of [
    'https://evil.example',
    'null',
    'http://127.0.0.1',
    `http://localhost:${server.port}`,
  ])
    expect(await connect({ origin, cookie: session }), origin).toMatch(/403/);
  expect(await connect({ cookie: session })).toMatch(/403/);
  expect(await connect({ origin: ours(), cookie: session }, '/other')).toMatch(/404/);
});

test('no address leads out of the folder of pages', async () => {
  const pages = join(folder, 'pages');
  for (const path of [
    '/../secret.html',
    '/%2e%2e/secret.html',
    '/..%2fsecret.html',
    '/link.html',
    '/.git/x.js',
  ])
    expect(await findPage(pages, path), path).toBeNull();
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: fc.constantFrom('.', '/', '%2e', '%2f', '\\', 'secret', '.html', '\0', 'a') }),
      async (path) => {
        const page = await findPage(pages, `/${path}`);
        expect(page?.content.toString() ?? '').not.toContain('secret');
      },
    ),
  );
  expect((await ask('/assets/')).status).toBe(404);
  expect((await ask('/', { method: 'PUT' })).status).toBe(405);
});

test('whatever is sent over the bridge is answered or closes it, and the server goes on', async () => {
  const session = await cookie();
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (text) => {
      const socket = await connect({ origin: ours(), cookie: session });
      if (!(socket instanceof WebSocket)) throw new Error(socket);
      const ended = new Promise<unknown>((resolve) => {
        socket.once('close', resolve);
        socket.once('message', (data: Buffer) => resolve(JSON.parse(data.toString())));
      });
      socket.send(text);
      await ended;
      socket.terminate();
    }),
    { numRuns: 30 },
  );
  expect((await ask('/')).status).toBe(200);
});
