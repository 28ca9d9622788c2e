/** @file Opening one sealed socket from a site to its hub. */

import { connect as connectPlain, isIP } from 'node:net';
import type { NetConnectOpts, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import { TributaryError } from '../errors.ts';
import { makeChannel } from '../federation/channel.ts';
import type { Channel } from '../federation/channel.ts';
import { MAX_SEALED_BYTES } from '../federation/framing.ts';
import { offerHandshake } from '../federation/handshake.ts';
import type { Introduction } from '../federation/handshake.ts';
import { PROTOCOL_VERSIONS } from '../federation/messages.ts';
import type { MessageOf, SocketRole } from '../federation/messages.ts';
import type { Meter } from './traffic.ts';

export interface ConnectOptions extends Introduction {
  /** Addresses of the hub, tried in order: `ws://…` or `wss://…`. */
  readonly urls: readonly string[];
  readonly role: SocketRole;
  /** Name and version of this program, for the hub's log. */
  readonly software: string;
  readonly signal?: AbortSignal;
  /** Seconds for connection, handshake and welcome of one address. */
  readonly timeoutSeconds?: number;
  /** Counts what leaves. */
  readonly meter?: Meter;
}

export interface Connected {
  readonly channel: Channel;
  readonly welcome: MessageOf<'welcome'>;
  readonly url: string;
  /** Whether its bytes are counted already. */
  readonly isMetered?: boolean;
}

/**
 * Connects, proves who it is and is welcomed. Throws `hub.unreachable` naming the addresses, `hub.wrong-key`,
 * `wire.version`, or the hub's own refusal such as `site.revoked`.
 */
export async function connectToHub(options: ConnectOptions): Promise<Connected> {
  const failures: TributaryError[] = [];
  for (const url of options.urls) {
    options.signal?.throwIfAborted();
    try {
      return await connectTo(url, options);
    } catch (error) {
      if (!(error instanceof TributaryError)) throw error;
      failures.push(error);
    }
  }
  // Of several addresses, one that answered with a refusal says more than one that did not answer.
  const [refusal] = failures.filter((failure) => !['hub.unreachable', 'wire.closed'].includes(failure.code));
  if (refusal !== undefined) throw refusal;
  const reasons = failures.map((failure) => failure.message).join(' ');
  throw new TributaryError('hub.unreachable', reasons, { cause: failures[0] });
}

async function connectTo(url: string, options: ConnectOptions): Promise<Connected> {
  let stream: Socket | undefined;
  const socket = new WebSocket(`${url.replace(/\/+$/, '')}/${options.role}`, {
    perMessageDeflate: false,
    maxPayload: MAX_SEALED_BYTES,
    followRedirects: false,
    // Masks keep scripts from writing chosen bytes into the caches of proxies (RFC 6455, section 10.3). Here all bytes
    // are sealed, so nobody chooses them; a mask of zeros spares both sides a pass over every byte.
    generateMask: (mask) => void mask.fill(0),
    // Always called with options; the type also has net's short forms.
    createConnection: ((connection: NetConnectOpts) =>
      (stream = openStream(url, connection, options.meter))) as typeof connectPlain,
  });
  const giveUp = (): void => socket.terminate();
  const timer = setTimeout(giveUp, (options.timeoutSeconds ?? 15) * 1000);
  options.signal?.addEventListener('abort', giveUp);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', (cause) => {
        reject(
          new TributaryError('hub.unreachable', `No hub answers at ${url} (${cause.message}).`, { cause }),
        );
      });
    });
    socket.on('error', giveUp);
    const transport = await offerHandshake(socket, options.role, options);
    const channel = makeChannel({ socket, transport, role: options.role, remote: 'hub' });
    options.meter?.attach(channel, stream);
    channel.send({
      type: 'hello',
      versions: [...PROTOCOL_VERSIONS],
      software: options.software,
      role: options.role,
    });
    const welcome = await channel.receive();
    if (welcome.type !== 'welcome' || !PROTOCOL_VERSIONS.includes(welcome.version)) {
      throw new TributaryError('wire.version', `The hub at ${url} answered hello with ${welcome.type}.`);
    }
    channel.startHeartbeat(welcome.heartbeatSeconds);
    return { channel, welcome, url, isMetered: options.meter !== undefined };
  } catch (thrown) {
    socket.close();
    throw thrown;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', giveUp);
  }
}

/** The stream under a WebSocket, which the meter sees before its first byte. */
function openStream(url: string, options: NetConnectOpts, meter: Meter | undefined): Socket {
  const host = 'host' in options ? (options.host ?? '') : '';
  const stream = url.startsWith('wss:')
    ? connectTls({ ...options, path: undefined, servername: isIP(host) > 0 ? '' : host })
    : connectPlain({ ...options, path: undefined } as NetConnectOpts);
  meter?.watch(stream);
  return stream;
}
