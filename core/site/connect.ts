/** @file Opening one sealed socket from a site to its hub. */

import { WebSocket } from 'ws';
import { TributaryError } from '../errors.ts';
import { makeChannel } from '../federation/channel.ts';
import type { Channel } from '../federation/channel.ts';
import { MAX_SEALED_BYTES } from '../federation/framing.ts';
import { offerHandshake } from '../federation/handshake.ts';
import type { Introduction } from '../federation/handshake.ts';
import { PROTOCOL_VERSIONS } from '../federation/messages.ts';
import type { MessageOf, SocketRole } from '../federation/messages.ts';
import { createNetwork } from '../network/network.ts';
import type { Network } from '../network/network.ts';
import type { CountedStream, Meter } from './traffic.ts';

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
  /** What lies between; without it the environment's proxy, if any. */
  readonly network?: Network;
  /** Whether a hub is good enough whose certificate nobody believes. */
  readonly mayBeUnchecked?: () => boolean;
}

export interface Connected {
  readonly channel: Channel;
  readonly welcome: MessageOf<'welcome'>;
  readonly url: string;
  /** Whether its bytes are counted already. */
  readonly isMetered?: boolean;
  /** Why the certificate of the hub is not believed, where the policy does without it. */
  readonly unchecked?: string | null;
}

/**
 * Connects, proves who it is and is welcomed. Throws `hub.unreachable` naming the addresses, what lies between
 * (`proxy.*`, `hub.certificate`), `hub.wrong-key`, `wire.version`, or the hub's own refusal such as `site.revoked`.
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
  const { role, meter, mayBeUnchecked, network = createNetwork() } = options;
  const ending = new AbortController();
  const giveUp = (): void => ending.abort();
  const timer = setTimeout(giveUp, (options.timeoutSeconds ?? 15) * 1000);
  options.signal?.addEventListener('abort', giveUp);
  try {
    const { signal } = ending;
    const { stream, wire, unchecked } = await network.dial(url, { signal, meter, mayBeUnchecked });
    const socket = new WebSocket(`${url.replace(/\/+$/, '')}/${role}`, {
      perMessageDeflate: false,
      maxPayload: MAX_SEALED_BYTES,
      followRedirects: false,
      // Masks keep scripts from writing chosen bytes into the caches of proxies (RFC 6455, section 10.3). Here all bytes
      // are sealed, so nobody chooses them; a mask of zeros spares both sides a pass over every byte.
      generateMask: (mask) => void mask.fill(0),
      createConnection: () => stream,
    });
    const tearDown = (): void => socket.terminate();
    signal.addEventListener('abort', tearDown);
    try {
      const { channel, welcome } = await shakeHands(socket, url, options, wire);
      return { channel, welcome, url, isMetered: meter !== undefined, unchecked };
    } catch (thrown) {
      socket.close();
      throw thrown;
    } finally {
      signal.removeEventListener('abort', tearDown);
    }
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', giveUp);
  }
}

/** From the opening of a WebSocket to the hub's welcome. */
async function shakeHands(
  socket: WebSocket,
  url: string,
  options: ConnectOptions,
  wire: CountedStream,
): Promise<Pick<Connected, 'channel' | 'welcome'>> {
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', (cause) => {
      reject(
        new TributaryError('hub.unreachable', `No hub answers at ${url} (${cause.message}).`, { cause }),
      );
    });
  });
  socket.on('error', () => socket.terminate());
  const transport = await offerHandshake(socket, options.role, options);
  const channel = makeChannel({ socket, transport, role: options.role, remote: 'hub' });
  options.meter?.attach(channel, wire);
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
  return { channel, welcome };
}
