/** @file Between a site and its hub: proxies with and without credentials, scripts, certificates, both families. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, LookupFunction } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { generateIdentity } from '../../core/federation/identity.ts';
import { encodeInvitation } from '../../core/federation/invitation.ts';
import type { SocketRole } from '../../core/federation/messages.ts';
import { askSite } from '../../core/site/ask.ts';
import { connectToHub } from '../../core/site/connect.ts';
import type { Connected, ConnectOptions } from '../../core/site/connect.ts';
import { createNetwork } from '../../core/network/network.ts';
import { DEFAULT_NETWORK } from '../../core/network/settings.ts';
import type { NetworkSettings } from '../../core/network/settings.ts';
import { hasOpenssl, makeCertificate } from '../helpers/certificates.ts';
import { openConnectProxy } from '../helpers/connect-proxy.ts';
import type { ConnectProxy, ConnectProxyOptions } from '../helpers/connect-proxy.ts';
import { openTestHub } from '../helpers/hub.ts';
import type { TestHub } from '../helpers/hub.ts';
import { makeTrainer, start } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';

const SECRET = 'p@ss:wörd';
const site = generateIdentity();
let folder: string;
let hub: TestHub;
const open: { close: () => Promise<void> }[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-network-'));
  hub = await openTestHub();
  hub.enrol('clinic-a', site);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.listener.close();
  for (const each of open.splice(0)) await each.close();
  rmSync(folder, { recursive: true });
});

async function proxyWith(options: Partial<ConnectProxyOptions> = {}): Promise<ConnectProxy> {
  const proxy = await openConnectProxy({ port: () => hub.listener.port, ...options });
  open.push(proxy);
  return proxy;
}

/** A hub under a name that only the proxy knows. */
async function reach(
  settings: Partial<NetworkSettings>,
  options: Partial<ConnectOptions> = {},
): Promise<Connected> {
  const connected = await connectToHub({
    urls: ['ws://hub.test'],
    role: 'control',
    software: 'test',
    identity: site,
    hubX25519: hub.identity.x25519.publicKey,
    network: createNetwork(() => ({ ...DEFAULT_NETWORK, proxy: 'none', ...settings })),
    timeoutSeconds: 5,
    ...options,
  });
  connected.channel.close();
  return connected;
}

const through = (proxy: ConnectProxy, more: Partial<NetworkSettings> = {}): Partial<NetworkSettings> => ({
  proxy: 'address',
  proxyAddress: `http://127.0.0.1:${proxy.port}`,
  ...more,
});
/** Every name is this machine. */
const loopback: LookupFunction = (_host, _options, callback) =>
  callback(null, [{ address: '127.0.0.1', family: 4 }]);
const refusal = (code: string) => expect.objectContaining({ code }) as Error;

describe('through a proxy', () => {
  it.each<SocketRole>(['control', 'bulk'])('goes the %s socket', async (role) => {
    const proxy = await proxyWith();
    expect((await reach(through(proxy), { role })).welcome.site).toBe('clinic-a');
    expect(proxy.asked).toEqual(['hub.test:80 200']);
    expect(proxy.passed()).toBeGreaterThan(100);
  });

  it('goes a join, with the credentials that the proxy asks for', async () => {
    const proxy = await proxyWith({ credentials: `anna:${SECRET}` });
    const { id, secret } = hub.invite();
    const settings = through(proxy, { proxyUser: 'anna', proxyPassword: SECRET });
    const identity = generateIdentity();
    const joined = await reach(settings, { identity, join: { id, secret, site: 'clinic-b' } });
    expect(joined.welcome.site).toBe('clinic-b');
  });

  it('goes all that a site does: joining, and both its sockets', async () => {
    const proxy = await proxyWith({ credentials: `anna:${SECRET}` });
    const network = through(proxy, { proxyUser: 'anna', proxyPassword: SECRET });
    const invitation = encodeInvitation(hub.invite({ urls: ['ws://hub.test'] }));
    const at = join(folder, 'site');
    await askSite({ folder: at, software: 'test' }, 'join', { invitation, name: 'clinic-b', network });
    const running = await start(at, makeTrainer(), { network: () => ({ ...DEFAULT_NETWORK, ...network }) });
    await until(() => expect(running.status().state).toBe('idle'));
    await until(() => expect(hub.bulk).toHaveLength(1));
    await running.stop();
    expect(proxy.asked).toEqual(Array(3).fill('hub.test:80 200'));
    const written = readdirSync(at).filter((name) => !name.endsWith('.sock'));
    const files = written.filter((name) => statSync(join(at, name)).isFile());
    for (const name of files) expect(readFileSync(join(at, name)).includes(SECRET)).toBe(false);
  });

  it.each([['HTTP_PROXY'], ['all_proxy']])('that %s names with its credentials', async (variable) => {
    const proxy = await proxyWith({ credentials: `anna:${SECRET}` });
    vi.stubEnv(variable, `http://anna:${encodeURIComponent(SECRET)}@127.0.0.1:${proxy.port}`);
    await reach({ proxy: 'environment' });
    expect(proxy.asked).toEqual(['hub.test:80 200']);
  });

  it('goes nothing that NO_PROXY or the loopback keeps from it', async () => {
    const proxy = await proxyWith();
    vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy.port}`);
    await reach({ proxy: 'environment' }, { urls: [hub.listener.url] });
    vi.stubEnv('NO_PROXY', '.test');
    await expect(reach({ proxy: 'environment' })).rejects.toThrow(refusal('hub.unreachable'));
    expect(proxy.asked).toEqual([]);
  });

  it('says what is wrong with the credentials, never what they are, and does not repeat them', async () => {
    const proxy = await proxyWith({ credentials: 'anna:right' });
    await expect(reach(through(proxy))).rejects.toThrow(refusal('proxy.credentials'));
    const settings = { ...DEFAULT_NETWORK, ...through(proxy, { proxyUser: 'anna', proxyPassword: SECRET }) };
    const network = createNetwork(() => settings);
    for (let attempt = 0; attempt < 3; attempt++) {
      const failed = await reach({}, { network }).then(
        () => null,
        (error: Error) => error,
      );
      expect(failed).toMatchObject({ code: 'proxy.credentials' });
      expect(`${failed?.stack} ${JSON.stringify(failed)}`).not.toContain(SECRET);
    }
    expect(proxy.asked).toEqual(['hub.test:80 407', 'hub.test:80 407']);
    Object.assign(settings, { proxyPassword: 'right' });
    await reach({}, { network });
  });

  it.each([
    [403, 'proxy.refused'],
    [502, 'proxy.unreachable'],
  ])('that answers %i is told from one that is away', async (status, code) => {
    const proxy = await proxyWith({ status: () => status });
    await expect(reach(through(proxy))).rejects.toThrow(refusal(code));
    await proxy.close();
    await expect(reach(through(proxy))).rejects.toThrow(refusal('proxy.unreachable'));
  });

  it('that breaks in the middle is noticed at once', async () => {
    const proxy = await proxyWith();
    const network = createNetwork(() => ({ ...DEFAULT_NETWORK, ...through(proxy) }));
    const connected = await connectToHub({
      ...{ urls: ['ws://hub.test'], role: 'control', software: 'test', identity: site, network },
      hubX25519: hub.identity.x25519.publicKey,
    });
    expect(proxy.cut()).toBe(1);
    expect((await connected.channel.closed).code).toBe('wire.closed');
  });

  it('that never answers is given up', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const settings = { proxy: 'address', proxyAddress: `http://127.0.0.1:${port}` } as const;
    await expect(reach(settings, { timeoutSeconds: 0.3 })).rejects.toThrow(refusal('proxy.unreachable'));
    silent.close();
  });

  it('is refused where its address is none of ours', async () => {
    const settings = { proxy: 'address', proxyAddress: 'socks5://127.0.0.1:1080' } as const;
    await expect(reach(settings)).rejects.toThrow(refusal('proxy.unsupported'));
  });
});

describe('a proxy script', () => {
  function scriptOf(body: string): Partial<NetworkSettings> {
    const path = join(folder, 'proxy.pac');
    writeFileSync(path, `function FindProxyForURL(url, host) { ${body} }`);
    return { proxy: 'script', proxyScript: path };
  }

  it('chooses the proxy for one hub and the straight way for another', async () => {
    const proxy = await proxyWith();
    const script = scriptOf(
      `if (dnsDomainIs(host, '.test')) return 'PROXY 127.0.0.1:${proxy.port}'; return 'DIRECT';`,
    );
    const network = createNetwork(() => ({ ...DEFAULT_NETWORK, ...script }), loopback);
    await reach({}, { network });
    expect(proxy.asked).toEqual(['hub.test:80 200']);
    await reach({}, { network, urls: [`ws://hub.elsewhere:${hub.listener.port}`] });
    expect(proxy.asked).toHaveLength(1);
  });

  it('names further proxies for the case that the first is away', async () => {
    const proxy = await proxyWith();
    await reach(scriptOf(`return 'SOCKS 127.0.0.1:9; PROXY 127.0.0.1:9; PROXY 127.0.0.1:${proxy.port}';`));
    expect(proxy.asked).toHaveLength(1);
  });

  it.each([
    ['never ends', 'while (true) {}'],
    ['takes all memory', 'var all = []; while (true) all.push(new Array(1000).join(host));'],
    ['throws', 'throw new Error("no");'],
    ['looks for this program', 'return process.env.HOME;'],
  ])('that %s does no harm', async (_, body) => {
    await expect(reach(scriptOf(body))).rejects.toThrow(refusal('proxy.script'));
  });

  it('learns of this machine no address but its own, and of this program nothing', async () => {
    const settings = scriptOf(
      `return [typeof require, typeof process, typeof fetch, myIpAddress()].join(' ');`,
    );
    const own = Object.values(networkInterfaces()).flat();
    const failed = await reach(settings).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(failed).toMatch(/“undefined undefined undefined [\d.]+”/);
    const [address] = /[\d.]+(?=”)/.exec(failed) ?? [];
    expect([...own.map((each) => each?.address), '127.0.0.1']).toContain(address);
  });

  it('that is not there says so', async () => {
    const proxyScript = join(folder, 'nowhere.pac');
    await expect(reach({ proxy: 'script', proxyScript })).rejects.toThrow(refusal('proxy.script'));
  });
});

describe.skipIf(!hasOpenssl())('certificates', () => {
  async function secureHub(names = ['DNS:hub.test', 'IP:127.0.0.1']) {
    const made = makeCertificate(folder, names);
    await hub.listener.close();
    hub = await openTestHub({ tls: { certificate: made.cert, key: made.key } }, hub.identity);
    hub.enrol('clinic-a', site);
    return made;
  }

  it('of the institution are believed where they are named', async () => {
    const { authority } = await secureHub();
    const urls = [hub.listener.url];
    expect((await reach({ certificates: authority }, { urls })).unchecked).toBeNull();
    await expect(reach({}, { urls })).rejects.toThrow(refusal('hub.certificate'));
  });

  it('that nobody vouches for do where the policy allows it, which is said', async () => {
    await secureHub();
    const urls = [hub.listener.url];
    const connected = await reach({}, { urls, mayBeUnchecked: () => true });
    expect(connected.unchecked).toMatch(/CERT|ISSUER|SIGN/);
  });

  it('for another name are not believed', async () => {
    const { authority } = await secureHub(['DNS:elsewhere.test']);
    const failed = reach({ certificates: authority }, { urls: [hub.listener.url] });
    await expect(failed).rejects.toThrow(refusal('hub.certificate'));
    await expect(failed).rejects.toThrow('ALTNAME');
  });

  it('are checked behind a proxy that is itself asked over TLS', async () => {
    const { authority: certificates, cert, key } = await secureHub();
    const proxy = await proxyWith({ tls: { cert, key }, credentials: `anna:${SECRET}` });
    const settings = {
      proxy: 'address' as const,
      proxyAddress: `https://127.0.0.1:${proxy.port}`,
      ...{ proxyUser: 'anna', proxyPassword: SECRET },
    };
    const urls = [`wss://hub.test`];
    expect((await reach({ ...settings, certificates }, { urls })).unchecked).toBeNull();
    expect(proxy.asked).toEqual(['hub.test:443 200']);
    // No policy helps a proxy, which would be given the password.
    const anyway = { urls, mayBeUnchecked: () => true };
    await expect(reach(settings, anyway)).rejects.toThrow(refusal('proxy.certificate'));
    expect(proxy.asked).toHaveLength(1);
  });

  it('are missed by name', async () => {
    await secureHub();
    const [nowhere, empty] = [join(folder, 'nowhere.pem'), join(folder, 'empty.pem')];
    writeFileSync(empty, 'nothing');
    for (const certificates of [nowhere, empty]) {
      const failed = reach({ certificates }, { urls: [hub.listener.url] });
      await expect(failed).rejects.toThrow(refusal('network.certificates'));
    }
  });
});

const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

describe('addresses of both families', () => {
  it.skipIf(!hasIpv6)('lead to a hub that listens on all of them', async () => {
    await hub.listener.close();
    hub = await openTestHub({ host: '::' }, hub.identity);
    hub.enrol('clinic-a', site);
    const { port } = hub.listener;
    expect(hub.listener.url).toBe(`ws://[::]:${port}`);
    for (const host of ['[::1]', '127.0.0.1']) await reach({}, { urls: [`ws://${host}:${port}`] });
  });

  it.skipIf(!hasIpv6)('are tried until one answers', async () => {
    const both: LookupFunction = (_host, _options, callback) =>
      callback(null, [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ]);
    const network = createNetwork(() => ({ ...DEFAULT_NETWORK, proxy: 'none' }), both);
    await reach({}, { network, urls: [`ws://hub.test:${hub.listener.port}`] });
  });

  it('go through a proxy as they are', async () => {
    const proxy = await proxyWith();
    await reach(through(proxy), { urls: ['ws://[2001:db8::1]:4433'] });
    expect(proxy.asked).toEqual(['[2001:db8::1]:4433 200']);
  });
});
