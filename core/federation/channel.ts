/**
 * @file A sealed connection after its handshake: typed messages both ways over one WebSocket, heartbeats,
 * detection of a dead peer, and limits on what waits in memory.
 */

import { WebSocket } from 'ws';
import type { RawData } from 'ws';
import { toTributaryError, TributaryError } from '../errors.ts';
import type { Backlog } from './backlog.ts';
import { openFrame, sealFrame } from './framing.ts';
import { decodeMessage, encodeInParts } from './messages.ts';
import type { Message, Party, SocketRole } from './messages.ts';
import type { Transport } from './noise.ts';
import { errorOf, toldToPeer } from './peer-errors.ts';
import { noTraffic, trafficKind } from './traffic.ts';
import type { Traffic } from './traffic.ts';

/** WebSocket close code of a refusal; its reason is an error code of ours. */
export const CLOSE_REFUSED = 4400;

/** Silence for this many heartbeats means that the peer is dead. */
const HEARTBEATS_UNTIL_DEAD = 3;
/** Received messages that may wait for their handler before the socket is no longer read. */
const MAX_WAITING: Readonly<Record<SocketRole, number>> = { control: 32, bulk: 4 };
/** The same in bytes: one chunk that waits is enough, for a hub may have a hundred such sockets. */
const MAX_WAITING_BYTES = 64 * 1024;
/** Above this many unsent bytes `drain` waits, or where all connections have too many … */
const HIGH_WATER_BYTES = 1024 * 1024;
/** … and above this the peer does not read at all and is given up. */
const MAX_UNSENT_BYTES = 64 * 1024 * 1024;
/** How long a closing socket may take before it is torn down. */
const CLOSE_MILLISECONDS = 2000;

export interface ChannelOptions {
  readonly socket: WebSocket;
  readonly transport: Transport;
  readonly role: SocketRole;
  /** Who is at the other end. */
  readonly remote: Party;
  /** What waits to be sent over this and other connections. */
  readonly backlog?: Backlog;
  /** Told how many bytes went through buffers that are garbage afterwards. */
  readonly onBuffers?: (bytes: number) => void;
  /** Told about messages of a number this program does not know. */
  readonly onUnknown?: (code: number) => void;
}

/** A sealed connection. Everything sent on a closed one is dropped: what matters is sent again on the next. */
export interface Channel {
  readonly role: SocketRole;
  /** The peer's static X25519 key, proven by the handshake. */
  readonly remoteStatic: Uint8Array;
  /** Queues a message; with many large ones await `drain` in between. */
  send(message: Message): void;
  /** Resolves when little waits to be sent. Rejects when the connection is closed. */
  drain(): Promise<void>;
  /** The next message, in order. Rejects with the reason when the connection is closed. */
  receive(): Promise<Message>;
  /** Hands over every further message, one after the other; an error of the handler closes the connection. */
  listen(handler: (message: Message) => void | Promise<void>): void;
  /** Begins to send heartbeats and to expect them. */
  startHeartbeat(seconds: number): void;
  /** Closes; with a reason the peer is told it first. */
  close(reason?: TributaryError): void;
  /** Resolves, never rejects, with why the connection ended. */
  readonly closed: Promise<TributaryError>;
  /** Seconds since anything arrived. */
  silentSeconds(): number;
  /** Sealed bytes so far, all of them. */
  readonly bytes: { readonly sent: number; readonly received: number };
  /** The sent ones by what they are. */
  readonly sentByKind: Traffic;
}

/** Takes over a WebSocket whose handshake is done. */
export function makeChannel(options: ChannelOptions): Channel {
  const { socket, transport, role, remote } = options;
  const bytes = { sent: 0, received: 0 };
  const sentByKind = noTraffic();
  const waiting: { readonly message: Message; readonly bytes: number }[] = [];
  let waitingBytes = 0;
  let receiver: { resolve: (message: Message) => void; reject: (reason: TributaryError) => void } | undefined;
  let ended: TributaryError | undefined;
  const drained: (() => void)[] = [];
  let heartbeat: NodeJS.Timeout | undefined;
  let lastReceived = performance.now();
  let heartbeats = 0;
  const wakeDrained = (): void => {
    if (drained.length > 0) for (const wake of drained.splice(0)) wake();
  };
  const backlog = options.backlog?.enter(wakeDrained);
  let markClosed: (reason: TributaryError) => void;
  const closed = new Promise<TributaryError>((resolve) => (markClosed = resolve));

  function end(reason: TributaryError): void {
    if (ended !== undefined) return;
    ended = reason;
    clearInterval(heartbeat);
    receiver?.reject(reason);
    wakeDrained();
    if (socket.isPaused) socket.resume();
    socket.close(CLOSE_REFUSED, reason.code);
    const timer = setTimeout(() => socket.terminate(), CLOSE_MILLISECONDS);
    socket.once('close', () => clearTimeout(timer));
    markClosed(reason);
  }

  function send(message: Message): void {
    if (ended !== undefined || socket.readyState !== WebSocket.OPEN) return;
    try {
      const sealed = sealFrame(transport, ...encodeInParts(message));
      bytes.sent += sealed.length;
      options.onBuffers?.(sealed.length);
      sentByKind[trafficKind(message.type)] += sealed.length;
      const isSent = backlog?.add(sealed.length);
      socket.send(sealed, () => {
        isSent?.();
        if (socket.bufferedAmount <= HIGH_WATER_BYTES) wakeDrained();
      });
    } catch (thrown) {
      end(toTributaryError(thrown));
      return;
    }
    if (socket.bufferedAmount > MAX_UNSENT_BYTES) {
      end(new TributaryError('wire.dead-peer', `The ${remote} has stopped reading what it is sent.`));
    }
  }

  function close(reason?: TributaryError): void {
    if (reason !== undefined) send({ type: 'refuse', ...toldToPeer(reason) });
    end(reason ?? new TributaryError('wire.closed', `The connection to the ${remote} was closed.`));
  }

  function take(data: RawData, isBinary: boolean): void {
    if (ended !== undefined) return;
    lastReceived = performance.now();
    try {
      if (!isBinary || !Buffer.isBuffer(data)) {
        throw new TributaryError('wire.bad-message', `The ${remote} sent text where only frames belong.`);
      }
      bytes.received += data.length;
      options.onBuffers?.(data.length);
      const plaintext = openFrame(transport, data);
      const decoded = decodeMessage(plaintext, remote, role);
      if ('unknown' in decoded) options.onUnknown?.(decoded.unknown);
      else if (decoded.message.type === 'refuse') end(errorOf(decoded.message));
      else if (decoded.message.type !== 'heartbeat') deliver(decoded.message, plaintext.length);
    } catch (thrown) {
      close(toTributaryError(thrown));
    }
  }

  function deliver(message: Message, size: number): void {
    if (receiver !== undefined) {
      const { resolve } = receiver;
      receiver = undefined;
      resolve(message);
      return;
    }
    waiting.push({ message, bytes: size });
    waitingBytes += size;
    if (waiting.length >= MAX_WAITING[role] || waitingBytes >= MAX_WAITING_BYTES) socket.pause();
  }

  async function receive(): Promise<Message> {
    const next = waiting.shift();
    if (next !== undefined) {
      waitingBytes -= next.bytes;
      const mayGoOn = waiting.length <= MAX_WAITING[role] / 2 && waitingBytes < MAX_WAITING_BYTES;
      if (socket.isPaused && mayGoOn) {
        lastReceived = performance.now();
        socket.resume();
      }
      return next.message;
    }
    if (ended !== undefined) throw ended;
    return new Promise((resolve, reject) => {
      receiver = { resolve, reject };
    });
  }

  socket.on('message', take);
  socket.on('close', () => {
    backlog?.leave();
    end(new TributaryError('wire.closed', `The ${remote} closed the connection.`));
  });
  socket.on('error', (cause) => {
    end(
      new TributaryError('wire.closed', `The connection to the ${remote} broke: ${cause.message}.`, {
        cause,
      }),
    );
  });

  return {
    role,
    remoteStatic: transport.remoteStatic,
    bytes,
    sentByKind,
    silentSeconds: () => (performance.now() - lastReceived) / 1000,
    closed,
    send,
    close,
    receive,

    drain: async () => {
      const isFull = (): boolean => socket.bufferedAmount > HIGH_WATER_BYTES || backlog?.hasRoom() === false;
      while (ended === undefined && isFull()) {
        await new Promise<void>((resolve) => drained.push(resolve));
      }
      if (ended !== undefined) throw ended;
    },

    listen: (handler) => {
      // A function that awaited in a loop would hold each message until the next one comes.
      const handleNext = (): void => {
        receive()
          .then(handler)
          .then(handleNext, (thrown: unknown) => {
            if (ended === undefined) close(toTributaryError(thrown));
          });
      };
      handleNext();
    },

    startHeartbeat: (seconds) => {
      const isSilent = (): boolean =>
        !socket.isPaused && performance.now() - lastReceived > HEARTBEATS_UNTIL_DEAD * seconds * 1000;
      lastReceived = performance.now();
      heartbeat = setInterval(() => {
        send({ type: 'heartbeat', count: (heartbeats += 1) });
        // A process that was busy or asleep reads what has arrived meanwhile before it judges.
        if (isSilent()) {
          setImmediate(() => {
            setImmediate(() => {
              if (!isSilent()) return;
              const silence = `The ${remote} has been silent for ${HEARTBEATS_UNTIL_DEAD * seconds} seconds.`;
              end(new TributaryError('wire.dead-peer', silence));
            });
          });
        }
      }, seconds * 1000);
      heartbeat.unref();
    },
  };
}
