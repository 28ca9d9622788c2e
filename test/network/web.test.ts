/** @file What is fetched of the web: by the same way as a hub, and with the same doubts. */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startWebhook } from '../../core/hub/webhook.ts';
import { createNetwork } from '../../core/network/network.ts';
import { variablesOf } from '../../core/network/proxies.ts';
import { DEFAULT_NETWORK } from '../../core/network/settings.ts';
import type { NetworkSettings } from '../../core/network/settings.ts';
import { hasOpenssl, makeCertificate } from '../helpers/certificates.ts';
import { openConnectProxy } from '../helpers/connect-proxy.ts';
import type { ConnectProxy, ConnectProxyOptions } from '../helpers/connect-proxy.ts';
import { until } from '../helpers/until.ts';

const SECRET = 'p@ss:wörd';
const signal = new AbortController().signal;
let folder: string;
const open: { close: () => unknown }[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-web-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const each of open.splice(0)) await each.close();
  rmSync(folder, { recursive: true });
});

async function serve(answer: RequestListener, tls?: { cert: string; key: string }): Promise<number> {
  const server: Server = tls ? createSecureServer(tls, answer) : createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  return (server.address() as AddressInfo).port;
}

async function proxyTo(port: number, options: Partial<ConnectProxyOptions> = {}): Promise<ConnectProxy> {
  const proxy = await openConnectProxy({ port: () => port, ...options });
  open.push(proxy);
  return proxy;
}

const networkWith = (settings: Partial<NetworkSettings>) =>
  createNetwork(() => ({ ...DEFAULT_NETWORK, ...settings }));
const causeOf = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    () => 'it succeeded',
    (error: Error) => error.cause,
  );

describe('a web address', () => {
  it('is asked through the proxy, with its credentials, and so is what it leads to', async () => {
    const port = await serve((request, response) => {
      if (request.url === '/model') response.writeHead(302, { location: 'http://files.test/far' }).end();
      else response.end(`${request.headers.host}${request.url}`);
    });
    const proxy = await proxyTo(port, { credentials: `clinic:${SECRET}` });
    const network = networkWith({
      ...{ proxy: 'address', proxyAddress: `http://127.0.0.1:${proxy.port}` },
      ...{ proxyUser: 'clinic', proxyPassword: SECRET },
    });
    const answer = await network.fetch('http://models.test/model', { signal });
    expect(await answer.text()).toBe('files.test/far');
    expect(proxy.asked).toEqual(['models.test:80 200', 'files.test:80 200']);
  });

  it('is asked as the variables of the environment say, and on this machine straight', async () => {
    const port = await serve((_, response) => response.end('here'));
    const proxy = await proxyTo(port);
    vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy.port}`);
    const { fetch } = createNetwork();
    expect(await (await fetch('http://models.test/', { signal })).text()).toBe('here');
    expect(await (await fetch(`http://127.0.0.1:${port}/`, { signal })).text()).toBe('here');
    expect(proxy.asked).toEqual(['models.test:80 200']);
  });

  it('is not reached where the proxy wants other credentials, which says so without them', async () => {
    const proxy = await proxyTo(9, { credentials: 'clinic:other' });
    const network = networkWith({
      ...{ proxy: 'address', proxyAddress: `http://127.0.0.1:${proxy.port}` },
      ...{ proxyUser: 'clinic', proxyPassword: SECRET },
    });
    const cause = await causeOf(network.fetch('http://models.test/', { signal }));
    expect(cause).toMatchObject({ code: 'proxy.credentials' });
    expect(String(cause)).not.toContain(SECRET);
  });

  it('that nobody answers at is given up with its caller', async () => {
    const port = await serve(() => undefined);
    const asked = createNetwork().fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(50) });
    await expect(asked).rejects.toThrow(/timeout/);
  });
});

describe.skipIf(!hasOpenssl())('a certificate', () => {
  it('of the institution is believed where it is named, and no other', async () => {
    const made = makeCertificate(folder, ['DNS:models.test', 'IP:127.0.0.1']);
    const port = await serve((_, response) => response.end('sealed'), made);
    const url = `https://127.0.0.1:${port}/`;
    const certificates = made.authority;
    expect(await (await networkWith({ certificates }).fetch(url, { signal })).text()).toBe('sealed');
    expect(String(await causeOf(networkWith({}).fetch(url, { signal })))).toMatch(/is not believed/);
    const proxy = await proxyTo(port);
    const proxied = { proxy: 'address', proxyAddress: `http://127.0.0.1:${proxy.port}` } as const;
    const other = networkWith({ certificates, ...proxied }).fetch('https://other.test/', { signal });
    expect(String(await causeOf(other))).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
  });
});

it('a webhook is told through the proxy of the environment', async () => {
  const told: string[] = [];
  const port = await serve((request, response) => {
    told.push(`${request.method} ${request.headers.host}${request.url}`);
    response.end();
  });
  const proxy = await proxyTo(port);
  vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy.port}`);
  const webhook = startWebhook({
    ...{ network: createNetwork(), url: 'http://chat.test/events', secret: 's', federation: 'clinics' },
    ...{ log: pino({ level: 'silent' }), now: () => 1_700_000_000 },
  });
  webhook.tell({ type: 'started', run: 'clinics-1' });
  await until(() => expect(told).toHaveLength(1));
  await webhook.stop();
  expect(told).toEqual(['POST chat.test/events']);
});

describe('other programs', () => {
  it('learn the proxy and its credentials, or that there is none', () => {
    const address = { proxy: 'address', proxyAddress: 'http://proxy.test:3128' } as const;
    const variables = (settings: Partial<NetworkSettings>) =>
      variablesOf({ ...DEFAULT_NETWORK, ...settings });
    expect(variables({})).toEqual({});
    expect(variables({ proxy: 'none' })).toMatchObject({ NO_PROXY: '*' });
    expect(variables(address)).toMatchObject({ HTTPS_PROXY: 'http://proxy.test:3128/' });
    const { HTTPS_PROXY } = variables({ ...address, proxyUser: 'clinic', proxyPassword: SECRET });
    expect(new URL(HTTPS_PROXY).hostname).toBe('proxy.test');
    expect(decodeURIComponent(new URL(HTTPS_PROXY).password)).toBe(SECRET);
  });

  it.each(['proxy.test:3128', 'http://', 'socks5://proxy.test:1080'])(
    'are told of no proxy at “%s”, which is refused as it is for every connection',
    async (proxyAddress) => {
      const settings = { ...DEFAULT_NETWORK, proxy: 'address', proxyAddress } as const;
      const refusal = { code: 'proxy.unsupported' };
      expect(() => variablesOf(settings)).toThrow(expect.objectContaining(refusal) as Error);
      expect(await causeOf(networkWith(settings).fetch('http://models.test/', { signal }))).toMatchObject(
        refusal,
      );
    },
  );
});
