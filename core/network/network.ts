/** @file Opens connections to hubs and to web addresses, through whatever lies between this machine and them. */

import { request } from 'node:http';
import { connect as connectPlain, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { SecureContext, TLSSocket } from 'node:tls';
import { TributaryError } from '../errors.ts';
import { machine } from '../machine.ts';
import { createTrust } from './certificates.ts';
import { bare, variablesOf, waysTo } from './proxies.ts';
import type { Proxy, Way } from './proxies.ts';
import { createScripts } from './script.ts';
import { createFetch } from './web.ts';
import type { Fetch } from './web.ts';
import { DEFAULT_NETWORK } from './settings.ts';
import type { NetworkSettings } from './settings.ts';

interface ConnectOptions {
  readonly signal: AbortSignal;
  /** Counts what leaves, from the first byte on. */
  readonly meter?: { watch(wire: Socket): void };
}

export interface DialOptions extends ConnectOptions {
  /** Whether a hub is good enough whose certificate nobody believes: it has to prove its key all the same. */
  readonly mayBeUnchecked?: () => boolean;
}

export interface Dialled {
  /** What the hub is spoken to over. */
  readonly stream: Socket;
  /** The system's socket under it. */
  readonly wire: Socket;
  /** Why the hub's certificate is not believed, where the policy does without. */
  readonly unchecked: string | null;
}

export interface Network {
  /** Throws `hub.unreachable`, `hub.certificate`, `proxy.*` or `network.certificates`. */
  dial(url: string, options: DialOptions): Promise<Dialled>;
  /**
   * The web's `fetch`, for what is not the hub: models, public datasets, a webhook. Certificates nobody vouches for
   * are never believed here. Rejects with the reason in `cause`, which is one of `proxy.*` and `network.certificates`,
   * or an error of the system.
   */
  readonly fetch: Fetch;
  /**
   * Variables by which other programs go the same way, as far as those can say it: not a proxy script. Throws
   * `proxy.unsupported`.
   */
  readonly variables: () => Record<string, string>;
  /** The same with other settings in some places. */
  with(changes: Partial<NetworkSettings>): Network;
}

/** What a connection gives: the stream, the system's socket under it, and why its certificate is not believed. */
interface Connected {
  readonly stream: Socket;
  readonly wire: Socket;
  readonly doubt: string | null;
}

/** Nobody answers at the address itself; the message says why. */
class Away extends Error {
  constructor(cause: Error) {
    super(describe(cause), { cause });
  }
}

const SECURE: ReadonlySet<string> = new Set(['wss:', 'https:']);

/** For so long a proxy is not asked again with credentials that it refused: many lock an account after a few times. */
const REFUSED_MILLISECONDS = 600_000;

/** `settings` is looked at for each connection. `lookup` takes the place of the system's names, for tests. */
export function createNetwork(
  settings: () => NetworkSettings = () => DEFAULT_NETWORK,
  lookup?: LookupFunction,
): Network {
  const scripts = createScripts();
  const trust = createTrust();
  const refused = new Map<string, number>();

  async function connectBy(way: Way, url: URL, options: ConnectOptions): Promise<Connected> {
    const isSecure = SECURE.has(url.protocol);
    const context = isSecure || way?.secure ? trust.context(settings().certificates) : undefined;
    const host = bare(url.hostname);
    const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port);
    const wire = await openWire(way ?? { host, port }, { ...options, lookup }).catch((cause: Error) => {
      throw way === null ? new Away(cause) : proxyAway(way, cause);
    });
    try {
      const stream = way === null ? wire : await tunnel(way, { host, port }, { wire, context, refused });
      if (!isSecure) return { stream, wire, doubt: null };
      const { secured, doubt } = await secure(stream, host, context).catch((cause: Error) => {
        throw new Away(cause);
      });
      return { stream: secured, wire, doubt };
    } catch (error) {
      wire.destroy();
      throw error;
    }
  }

  /** Throws {@link Away}, `proxy.*` or `network.certificates`. */
  async function connect(url: URL, options: ConnectOptions): Promise<Connected> {
    const ways = await waysTo(url, settings(), scripts);
    let reason: unknown;
    for (const way of ways) {
      try {
        return await connectBy(way, url, options);
      } catch (error) {
        // A proxy that is there and refuses has the last word; one that is away leaves it to the next.
        if (error instanceof TributaryError && !error.retryable) throw error;
        reason ??= error;
      }
    }
    throw reason;
  }

  return {
    with: (changes) => createNetwork(() => ({ ...settings(), ...changes }), lookup),
    dial: async (address, options) => {
      const url = new URL(address);
      const { stream, wire, doubt } = await connect(url, options).catch((error: unknown) => {
        throw error instanceof Away ? unreachable(url, error) : error;
      });
      if (doubt !== null && options.mayBeUnchecked?.() !== true) {
        wire.destroy();
        const what = `The certificate of ${url.origin} is not believed (${doubt}).`;
        throw new TributaryError('hub.certificate', what);
      }
      return { stream, wire, unchecked: doubt };
    },
    variables: () => variablesOf(settings()),
    fetch: createFetch(async (url, signal) => {
      const { stream, wire, doubt } = await connect(url, { signal });
      if (doubt === null) return stream;
      wire.destroy();
      throw new Error(`the certificate of ${url.origin} is not believed (${doubt})`);
    }),
  };
}

/** A connection of the system; of a name with addresses of both families the one that answers first. */
function openWire(
  to: { readonly host: string; readonly port: number },
  { signal, meter, lookup }: ConnectOptions & { readonly lookup?: LookupFunction },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host, port } = to;
    const wire = connectPlain({ host, port, autoSelectFamily: true, lookup });
    meter?.watch(wire);
    const giveUp = (): void => void wire.destroy(new Error('it took too long, or was called off'));
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    wire.once('close', () => signal.removeEventListener('abort', giveUp));
    wire.once('connect', () => {
      wire.off('error', reject);
      // Whoever uses it learns of its end from the stream itself.
      wire.on('error', () => undefined);
      resolve(wire);
    });
    wire.once('error', reject);
  });
}

/** Asks a proxy for a tunnel to the hub (HTTP CONNECT, RFC 9110, section 9.3.6). */
async function tunnel(
  proxy: Proxy,
  target: { readonly host: string; readonly port: number },
  means: { wire: Socket; context: SecureContext | undefined; refused: Map<string, number> },
): Promise<Socket> {
  const { credentials } = proxy;
  const authorization =
    credentials === null
      ? {}
      : {
          'proxy-authorization': `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`,
        };
  const attempt = JSON.stringify([nameOf(proxy), authorization]);
  if (machine.now() < (means.refused.get(attempt) ?? 0)) throw badCredentials(proxy);
  const stream = proxy.secure ? await secureProxy(proxy, means.wire, means.context) : means.wire;
  const authority = `${isIP(target.host) === 6 ? `[${target.host}]` : target.host}:${target.port}`;
  const { status, socket } = await new Promise<{ status: number; socket: Socket }>((resolve, reject) => {
    const asked = request({
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...authorization },
      createConnection: () => stream,
    });
    asked.once('connect', (answer, tunnelled: Socket, head) => {
      if (head.length > 0) tunnelled.unshift(head);
      resolve({ status: answer.statusCode ?? 0, socket: tunnelled });
    });
    asked.once('error', (cause) => reject(proxyAway(proxy, cause)));
    asked.end();
  });
  if (status >= 200 && status < 300) return socket;
  if (status === 407) {
    if (credentials !== null) means.refused.set(attempt, machine.now() + REFUSED_MILLISECONDS);
    throw badCredentials(proxy);
  }
  const what = `The proxy ${nameOf(proxy)} refuses a connection to ${authority} (status ${status}).`;
  throw new TributaryError(status >= 500 ? 'proxy.unreachable' : 'proxy.refused', what);
}

async function secureProxy(proxy: Proxy, wire: Socket, context: SecureContext | undefined): Promise<Socket> {
  const { secured, doubt } = await secure(wire, proxy.host, context).catch((cause: Error) => {
    throw proxyAway(proxy, cause);
  });
  if (doubt === null) return secured;
  // Credentials follow, so no policy helps here.
  const what = `The certificate of the proxy ${nameOf(proxy)} is not believed (${doubt}).`;
  throw new TributaryError('proxy.certificate', what);
}

/** TLS over a stream. Who is at the other end is said and not decided here; nothing has been sent to it yet. */
function secure(
  socket: Socket,
  host: string,
  secureContext: SecureContext | undefined,
): Promise<{ secured: TLSSocket; doubt: string | null }> {
  return new Promise((resolve, reject) => {
    const named = isIP(host) > 0 ? {} : { servername: host };
    const secured = connectTls({ socket, host, ...named, secureContext, rejectUnauthorized: false });
    secured.once('error', reject);
    secured.once('close', () => reject(new Error('it closed the connection')));
    secured.once('secureConnect', () => {
      secured.off('error', reject);
      secured.on('error', () => undefined);
      // The types say Error; it is its code.
      const doubt = secured.authorized ? null : String(secured.authorizationError);
      resolve({ secured, doubt });
    });
  });
}

/** Without its credentials. */
function nameOf({ secure, host, port }: Proxy): string {
  return `${secure ? 'https' : 'http'}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

function unreachable(url: URL, away: Away): TributaryError {
  const what = `No hub answers at ${url.href.replace(/\/$/, '')} (${away.message}).`;
  return new TributaryError('hub.unreachable', what, { cause: away.cause });
}

function proxyAway(proxy: Proxy, cause: Error): TributaryError {
  const what = `The proxy ${nameOf(proxy)} does not answer (${describe(cause)}).`;
  return new TributaryError('proxy.unreachable', what, { cause });
}

function badCredentials(proxy: Proxy): TributaryError {
  const what =
    proxy.credentials === null
      ? `The proxy ${nameOf(proxy)} asks for a user name and a password.`
      : `The proxy ${nameOf(proxy)} does not accept the user name and the password.`;
  return new TributaryError('proxy.credentials', what);
}

/** Of several addresses that were tried, the reasons lie inside. */
function describe(cause: Error): string {
  if (cause instanceof AggregateError) return cause.errors.map((each: Error) => each.message).join(', ');
  return cause.message;
}
