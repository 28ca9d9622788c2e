/**
 * @file The hub's door: one port with the sockets /control and /bulk, handshakes, and limits on those who have
 * not yet proven who they are. What a site does afterwards is not decided here.
 */

import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { toTributaryError, TributaryError } from '../errors.ts';
import { createBacklog } from '../federation/backlog.ts';
import { CLOSE_REFUSED, makeChannel } from '../federation/channel.ts';
import type { Channel } from '../federation/channel.ts';
import { MAX_SEALED_BYTES } from '../federation/framing.ts';
import { answerHandshake } from '../federation/handshake.ts';
import type { Gate } from '../federation/handshake.ts';
import { PROTOCOL_VERSIONS } from '../federation/messages.ts';
import type { Message, SocketRole } from '../federation/messages.ts';
import type { RosterEntry, SignedRoster } from '../federation/roster.ts';
import { createHandshakeLimit } from './refusals.ts';

/** A site whose identity is proven, on one of its two sockets. */
export interface Peer {
  readonly site: string;
  readonly entry: RosterEntry;
  readonly channel: Channel;
  /** Whether the site knows the hub by its former keys. */
  readonly isFormer: boolean;
}

export interface ListenerOptions extends Gate {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** PEM texts; without them the port speaks plain WebSocket, sealed inside by Noise all the same. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  readonly federation: string;
  readonly heartbeatSeconds: number;
  /** The current members' list; sent with every welcome, signed with the keys that the site knows. */
  readonly roster: (isFormer: boolean) => SignedRoster;
  readonly onControl: (peer: Peer) => void;
  readonly onBulk: (peer: Peer) => void;
  /** See `makeChannel`. */
  readonly onBuffers?: (bytes: number) => void;
  /** Answers what is no WebSocket. */
  readonly onRequest?: (request: IncomingMessage, response: ServerResponse) => void;
  /** Told about every refused connection, for the log. */
  readonly onRefused?: (reason: TributaryError, address: string) => void;
  readonly limits?: Partial<Limits>;
}

/** What strangers may cost. */
interface Limits {
  /** Connections without a proven identity; above it the oldest is dropped. */
  readonly unauthenticated: number;
  /** Bytes such a connection may send in all: HTTP's request, one handshake message, one hello. */
  readonly unauthenticatedBytes: number;
  /** Seconds it may take. */
  readonly handshakeSeconds: number;
}
const defaultLimits: Limits = { unauthenticated: 64, unauthenticatedBytes: 16_384, handshakeSeconds: 10 };

export interface Listener {
  readonly port: number;
  /** `ws://host:port` or `wss://…`. */
  readonly url: string;
  /** Connections that have not proven who they are, now. */
  unauthenticated(): number;
  /** Closes every connection and the port. */
  close(reason?: TributaryError): Promise<void>;
}

/** Opens the port. Throws what the system throws, such as EADDRINUSE. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const limits = { ...defaultLimits, ...options.limits };
  const strangers = new Map<Duplex, () => void>();
  /** Of each stranger, what counts its bytes once it speaks WebSocket; before, HTTP's limits hold. */
  const counters = new WeakMap<Duplex, (data: Buffer) => void>();
  const members = new Map<string, Peer>();
  const backlog = createBacklog();
  const { onBuffers } = options;
  const http = options.tls
    ? createHttpsServer({
        cert: options.tls.certificate,
        key: options.tls.key,
        maxHeaderSize: 8192,
        handshakeTimeout: limits.handshakeSeconds * 1000,
      })
    : createHttpServer({ maxHeaderSize: 8192 });
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_SEALED_BYTES,
    clientTracking: false,
  });

  http.on('request', (request, response) => {
    if (options.onRequest !== undefined) return options.onRequest(request, response);
    response.writeHead(426, { 'content-type': 'text/plain', connection: 'close' });
    response.end('This is a Tributary hub. Sites connect to it with WebSocket.\n');
  });

  const mayShake = createHandshakeLimit();
  /** Ends the connection of somebody who has not proven who they are. */
  const drop = (
    socket: Duplex,
    code: 'hub.busy' | 'wire.bad-message' | 'wire.dead-peer',
    why: string,
  ): void => {
    options.onRefused?.(new TributaryError(code, why), addressOf(socket));
    strangers.get(socket)?.();
    socket.destroy();
  };
  // Everyone is a stranger from the first byte on: slow requests, half handshakes and floods end here.
  http.on(options.tls ? 'secureConnection' : 'connection', (socket: Duplex) => {
    if (strangers.size >= limits.unauthenticated) {
      const [oldest] = strangers.keys();
      drop(
        oldest,
        'hub.busy',
        `${strangers.size} connections have not proven who they are; the oldest is dropped.`,
      );
    }
    let arrived = 0;
    const count = (data: Buffer): void => {
      arrived += data.length;
      if (arrived > limits.unauthenticatedBytes) {
        drop(socket, 'wire.bad-message', `A stranger sent more than ${limits.unauthenticatedBytes} bytes.`);
      }
    };
    const timer = setTimeout(() => {
      drop(socket, 'wire.dead-peer', `A stranger did not prove who it is in ${limits.handshakeSeconds} s.`);
    }, limits.handshakeSeconds * 1000);
    const forget = (): void => {
      clearTimeout(timer);
      socket.off('data', count);
      strangers.delete(socket);
    };
    strangers.set(socket, forget);
    counters.set(socket, count);
    socket.on('close', forget);
    socket.on('error', () => socket.destroy());
  });

  http.on('upgrade', (request, socket: Duplex, head) => {
    const role = roleOf(request.url);
    if (role === undefined) {
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n');
      return;
    }
    if (!mayShake(addressOf(socket))) {
      options.onRefused?.(
        new TributaryError('hub.busy', 'Too many handshakes in a short time.'),
        addressOf(socket),
      );
      socket.end('HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\n\r\n');
      return;
    }
    const count = counters.get(socket);
    if (count !== undefined) socket.on('data', count);
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      void receive(webSocket, role, socket, addressOf(socket));
    });
  });

  /** From the first message of a new socket to the welcome, or to a refusal. Never rejects. */
  async function receive(
    socket: WebSocket,
    role: SocketRole,
    stranger: Duplex,
    address: string,
  ): Promise<void> {
    let channel: Channel | undefined;
    socket.on('error', () => socket.terminate());
    try {
      const { transport, identify, isFormer } = await answerHandshake(socket, role, options);
      channel = makeChannel({ socket, transport, role, remote: 'site', backlog, onBuffers });
      // Only now, with a frame under the session's keys, has the caller proven its key and the secret.
      const hello = await channel.receive();
      const version = agreeOnVersion(hello, role);
      const entry = identify();
      strangers.get(stranger)?.();
      const peer: Peer = { site: entry.site, entry, channel, isFormer };
      enter(peer, role);
      const { federation, heartbeatSeconds } = options;
      const roster = options.roster(isFormer);
      channel.send({ type: 'welcome', version, federation, site: entry.site, roster, heartbeatSeconds });
      channel.startHeartbeat(heartbeatSeconds);
      if (role === 'bulk') options.onBulk(peer);
      else options.onControl(peer);
    } catch (thrown) {
      const reason = toTributaryError(thrown);
      options.onRefused?.(reason, address);
      if (channel === undefined) socket.close(CLOSE_REFUSED, reason.code);
      else channel.close(reason);
    }
  }

  /** A site has one connection of each kind: a new one replaces what a broken network may have left. */
  function enter(peer: Peer, role: SocketRole): void {
    const key = `${role} ${peer.site}`;
    members
      .get(key)
      ?.channel.close(
        new TributaryError('site.replaced', `Another connection of ${peer.site} has taken over.`),
      );
    members.set(key, peer);
    void peer.channel.closed.then(() => {
      if (members.get(key) === peer) members.delete(key);
    });
  }

  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(options.port, options.host, resolve);
  });
  const { port } = http.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;

  return {
    port,
    url: `${options.tls ? 'wss' : 'ws'}://${host}:${port}`,
    unauthenticated: () => strangers.size,
    close: async (reason) => {
      const ended = [...members.values()].map(async ({ channel }) => {
        channel.close(reason);
        await channel.closed;
      });
      await Promise.all(ended);
      for (const socket of strangers.keys()) socket.destroy();
      await new Promise<void>((resolve) => {
        http.close(() => resolve());
        setTimeout(() => http.closeAllConnections(), 500).unref();
      });
    },
  };
}

/** Where a connection comes from, as the system says. */
function addressOf(socket: Duplex): string {
  return (socket instanceof Socket && socket.remoteAddress) || 'an unknown address';
}

function roleOf(path: string | undefined): SocketRole | undefined {
  if (path === '/control') return 'control';
  return path === '/bulk' ? 'bulk' : undefined;
}

/** The best version both sides speak. Throws `wire.version`, or `wire.not-allowed` for anything but hello. */
function agreeOnVersion(hello: Message, role: SocketRole): number {
  if (hello.type !== 'hello' || hello.role !== role) {
    throw new TributaryError('wire.not-allowed', `A site must begin its ${role} socket with hello.`);
  }
  const version = PROTOCOL_VERSIONS.find((known) => hello.versions.includes(known));
  if (version !== undefined) return version;
  const [ours, theirs] = [PROTOCOL_VERSIONS.join(', '), hello.versions.join(', ')];
  throw new TributaryError(
    'wire.version',
    `The hub speaks version ${ours} of the protocol, the site ${theirs} (${hello.software}).`,
  );
}
