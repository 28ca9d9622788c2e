/** @file Which way a connection takes: straight, or through one of the institution's proxies. */

import { isIP } from 'node:net';
import { getProxyForUrl } from 'proxy-from-env';
import { TributaryError } from '../errors.ts';
import type { createScripts } from './script.ts';
import type { NetworkSettings } from './settings.ts';

export interface Proxy {
  /** Whether the connection to the proxy itself is TLS. */
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** Never to be shown anywhere. */
  readonly credentials: { readonly user: string; readonly password: string } | null;
}

/** A way to an address; null is the straight one. */
export type Way = Proxy | null;

/** The ways to an address of the web or of a hub (`wss://…`), to be tried in this order. Throws `proxy.*`. */
export async function waysTo(
  url: URL,
  settings: NetworkSettings,
  scripts: ReturnType<typeof createScripts>,
): Promise<Way[]> {
  if (settings.proxy === 'none' || isLoopback(url.hostname)) return [null];
  const { proxyUser: user, proxyPassword: password } = settings;
  const credentials = user === null ? null : { user, password: password ?? '' };
  // Proxies and their scripts know web addresses.
  const web = new URL(url.href.replace(/^ws/, 'http'));
  if (settings.proxy === 'script') {
    const { proxyScript } = settings;
    if (proxyScript === null) throw new TributaryError('proxy.script', 'No proxy script is named.');
    return readVerdict(await scripts.ask(proxyScript, web), credentials);
  }
  const named = settings.proxy === 'address' ? (settings.proxyAddress ?? '') : getProxyForUrl(web.href);
  return [named === '' ? null : parseProxy(named, credentials)];
}

/** The environment of a program that is to go the same way; of a script it can know nothing. Throws `proxy.unsupported`. */
export function variablesOf(settings: NetworkSettings): Record<string, string> {
  if (settings.proxy === 'none') return { NO_PROXY: '*', no_proxy: '*' };
  const { proxyAddress } = settings;
  if (settings.proxy !== 'address' || !proxyAddress) return {};
  parseProxy(proxyAddress);
  const url = new URL(proxyAddress);
  if (url.username === '' && settings.proxyUser !== null) {
    url.username = encodeURIComponent(settings.proxyUser);
    url.password = encodeURIComponent(settings.proxyPassword ?? '');
  }
  return { HTTPS_PROXY: url.href, https_proxy: url.href, HTTP_PROXY: url.href, http_proxy: url.href };
}

/** What never leaves the machine goes through no proxy. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

/** Reads an address, whose own credentials go before those of the settings. Its text is shown to nobody. */
export function parseProxy(text: string, credentials: Proxy['credentials'] = null): Proxy {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new TributaryError('proxy.unsupported', 'The address of the proxy is not http://… or https://….');
  }
  const secure = url.protocol === 'https:';
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  const own = { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  return { secure, host: bare(url.hostname), port, credentials: own.user === '' ? credentials : own };
}

/** What a script answers, such as `PROXY a:3128; HTTPS b:443; DIRECT`. */
function readVerdict(verdict: string, credentials: Proxy['credentials']): Way[] {
  const ways: Way[] = [];
  for (const part of verdict.split(';')) {
    const [kind, address = ''] = part.trim().split(/\s+/);
    if (kind.toUpperCase() === 'DIRECT') ways.push(null);
    const scheme = { PROXY: 'http', HTTP: 'http', HTTPS: 'https' }[kind.toUpperCase()];
    if (scheme !== undefined) ways.push(parseProxy(`${scheme}://${address}`, credentials));
  }
  if (ways.length > 0) return ways;
  const what = `The proxy script answers “${verdict.slice(0, 100)}”, in which there is no way for this program.`;
  throw new TributaryError('proxy.unsupported', what);
}

/** A host of a URL without the brackets of an IPv6 address. */
export function bare(hostname: string): string {
  const inner = hostname.replace(/^\[|\]$/g, '');
  return isIP(inner) === 6 ? inner : hostname;
}
