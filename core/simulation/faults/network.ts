/**
 * @file A network in memory between a hub and its sites. Messages are encoded, checked and decoded as on the wire; what
 * is not here is below them: WebSocket, TLS and Noise, which end a connection where a frame was altered or repeated.
 * What this network does to chunks, the transfers have to notice themselves.
 */

import { toTributaryError, TributaryError } from '../../errors.ts';
import type { Channel } from '../../federation/channel.ts';
import { decodeMessage, encodeMessage, PROTOCOL_VERSIONS } from '../../federation/messages.ts';
import type { Message, Party, SocketRole } from '../../federation/messages.ts';
import type { listen, Peer } from '../../hub/listener.ts';
import { machine, sleep } from '../../machine.ts';
import { errorOf, toldToPeer } from '../../federation/peer-errors.ts';
import { noTraffic, trafficKind } from '../../federation/traffic.ts';
import type { connectToHub } from '../../site/connect.ts';

/** How a site's line is at the moment. */
export interface Line {
  /** Milliseconds that every message takes. */
  delay: number;
  /** Bytes a second. */
  rate: number;
  /** Whether nothing gets through. */
  isCut: boolean;
  /** What befalls a chunk now; asked once for each. */
  chunk: () => 'arrives' | 'twice' | 'late' | 'altered';
}

export interface Network {
  readonly listen: typeof listen;
  /** What a site connects with. */
  connectFrom(site: string): typeof connectToHub;
  line(site: string): Line;
  /** Ends the site's connections, as a loss of its line that both sides notice does. */
  drop(site: string): void;
}

const CLOSED_PORT = 4433;
/** A line that is cut is noticed after three heartbeats. */
const HEARTBEATS_UNTIL_DEAD = 3;
/** How much longer a late chunk takes: so long that the next one overtakes it. */
const LATE_MILLISECONDS = 700;

interface End {
  readonly channel: Channel;
  take(bytes: Uint8Array): void;
  end(reason: TributaryError): void;
}

export function createNetwork(): Network {
  const lines = new Map<string, Line>();
  const open = new Map<string, { readonly site: End; readonly hub: End }>();
  let door: Parameters<typeof listen>[0] | null = null;

  function line(site: string): Line {
    const known = lines.get(site);
    if (known !== undefined) return known;
    const fresh: Line = { delay: 20, rate: 10e6, isCut: false, chunk: () => 'arrives' };
    lines.set(site, fresh);
    return fresh;
  }

  function lost(): TributaryError {
    return new TributaryError('wire.dead-peer', 'The other side has been silent for too long.');
  }

  /** Two ends of one connection; bytes take their time, and those of a message never overtake those before. */
  function pair(site: string, role: SocketRole, x25519: Uint8Array): { site: End; hub: End } {
    const ends: { site: End; hub: End } = {
      site: makeEnd(role, 'hub', new Uint8Array(32), (bytes, type) => carry(() => ends.hub, bytes, type)),
      hub: makeEnd(role, 'site', x25519, (bytes, type) => carry(() => ends.site, bytes, type)),
    };
    const free = new Map<End, number>();
    const last = new Map<End, number>();

    function carry(to: () => End, bytes: Uint8Array, type: Message['type']): void {
      const { delay, rate, isCut, chunk } = line(site);
      if (isCut) return; // both ends learn of it from the silence
      const fate = type === 'blob-chunk' ? chunk() : 'arrives';
      const begins = Math.max(machine.now(), free.get(to()) ?? 0);
      const takes = (bytes.length / rate) * 1000;
      free.set(to(), begins + takes);
      // A line that becomes quicker lets nothing overtake what is under way.
      const moment = Math.max(begins + takes + delay, last.get(to()) ?? 0);
      last.set(to(), moment);
      const arrives = moment - machine.now();
      const late = fate === 'late' ? LATE_MILLISECONDS : 0;
      const content = fate === 'altered' ? altered(bytes) : bytes;
      machine.startTimer(arrives + late, () => to().take(content));
      if (fate === 'twice') machine.startTimer(arrives + 1, () => to().take(bytes));
    }

    // Each end hears of the other's end when the news arrives, or from the silence.
    const tell = (from: End, to: End): void => {
      void from.channel.closed.then((reason) => {
        const wait = line(site).isCut
          ? HEARTBEATS_UNTIL_DEAD * (door?.heartbeatSeconds ?? 5) * 1000
          : line(site).delay;
        const gone = new TributaryError('wire.closed', `The other side has closed: ${reason.message}`);
        const before = (last.get(to) ?? 0) - machine.now();
        machine.startTimer(Math.max(wait, before), () => to.end(gone));
      });
    };
    tell(ends.site, ends.hub);
    tell(ends.hub, ends.site);
    return ends;
  }

  return {
    line,
    drop(site) {
      const reason = lost();
      for (const [key, ends] of open) {
        if (!key.endsWith(` ${site}`)) continue;
        ends.site.end(reason);
        ends.hub.end(reason);
      }
    },
    listen: (options) => {
      door = options;
      const mine = options;
      return Promise.resolve({
        port: CLOSED_PORT,
        url: `ws://127.0.0.1:${CLOSED_PORT}`,
        unauthenticated: () => 0,
        close: async (reason) => {
          if (door === mine) door = null;
          for (const { hub } of open.values()) hub.channel.close(reason);
          await Promise.resolve();
        },
      });
    },
    connectFrom: (site) => async (options) => {
      const { delay, isCut } = line(site);
      await sleep(2 * delay, options.signal);
      const at = door;
      const [url] = options.urls;
      if (isCut || line(site).isCut || at === null) {
        throw new TributaryError('hub.unreachable', `No hub answers at ${url}.`);
      }
      const x25519 = options.identity.x25519.publicKey;
      const entry = at.lookUpMember(x25519);
      if (entry === null) throw new TributaryError('site.unknown', 'The hub does not know this site.');
      if (entry.revoked !== null) {
        throw new TributaryError('site.revoked', `The membership of ${entry.site} was revoked.`);
      }
      const { role } = options;
      const key = `${role} ${site}`;
      const replaced = new TributaryError('site.replaced', `Another connection of ${site} has taken over.`);
      open.get(key)?.hub.channel.close(replaced);
      const ends = pair(site, role, x25519);
      open.set(key, ends);
      void ends.hub.channel.closed.then(() => {
        if (open.get(key) === ends) open.delete(key);
      });
      const peer: Peer = { site: entry.site, entry, channel: ends.hub.channel, isFormer: false };
      if (role === 'bulk') at.onBulk(peer);
      else at.onControl(peer);
      const { federation, heartbeatSeconds } = at;
      const [version] = PROTOCOL_VERSIONS;
      const welcome = { federation, heartbeatSeconds, version, site: entry.site, roster: at.roster(false) };
      return { channel: ends.site.channel, url, welcome: { type: 'welcome', ...welcome } };
    },
  };
}

/** A changed byte in the middle, where the content of a chunk lies. */
function altered(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length >> 1] ^= 1;
  return copy;
}

/** One end: queues what arrives for whoever receives. */
function makeEnd(
  role: SocketRole,
  remote: Party,
  remoteStatic: Uint8Array,
  carry: (bytes: Uint8Array, type: Message['type']) => void,
): End {
  const counted = { sent: 0, received: 0 };
  const sentByKind = noTraffic();
  const waiting: Message[] = [];
  let receiver: { resolve: (message: Message) => void; reject: (reason: TributaryError) => void } | undefined;
  let ended: TributaryError | undefined;
  let markClosed: (reason: TributaryError) => void = () => undefined;
  const closed = new Promise<TributaryError>((resolve) => (markClosed = resolve));
  let lastReceived = machine.now();

  function end(reason: TributaryError): void {
    if (ended !== undefined) return;
    ended = reason;
    receiver?.reject(reason);
    markClosed(reason);
  }

  function send(message: Message): void {
    if (ended !== undefined) return;
    const bytes = encodeMessage(message);
    counted.sent += bytes.length;
    sentByKind[trafficKind(message.type)] += bytes.length;
    carry(bytes, message.type);
  }

  function receive(): Promise<Message> {
    const next = waiting.shift();
    if (next !== undefined) return Promise.resolve(next);
    if (ended !== undefined) return Promise.reject(ended);
    return new Promise((resolve, reject) => (receiver = { resolve, reject }));
  }

  function deliver(message: Message): void {
    if (receiver === undefined) {
      waiting.push(message);
      return;
    }
    const { resolve } = receiver;
    receiver = undefined;
    resolve(message);
  }

  const channel: Channel = {
    role,
    remoteStatic,
    bytes: counted,
    sentByKind,
    silentSeconds: () => (machine.now() - lastReceived) / 1000,
    closed,
    send,
    receive,
    drain: () => (ended === undefined ? Promise.resolve() : Promise.reject(ended)),
    listen: (handler) => {
      const pump = async (): Promise<void> => {
        for (;;) await handler(await receive());
      };
      pump().catch((thrown: unknown) => {
        if (ended === undefined) channel.close(toTributaryError(thrown));
      });
    },
    startHeartbeat: () => undefined,
    close: (reason) => {
      if (reason !== undefined) send({ type: 'refuse', ...toldToPeer(reason) });
      end(reason ?? new TributaryError('wire.closed', `The connection to the ${remote} was closed.`));
    },
  };
  return {
    channel,
    end,
    take(bytes) {
      if (ended !== undefined) return;
      counted.received += bytes.length;
      lastReceived = machine.now();
      try {
        const decoded = decodeMessage(bytes, remote, role);
        if ('unknown' in decoded) return;
        if (decoded.message.type === 'refuse') end(errorOf(decoded.message));
        else deliver(decoded.message);
      } catch (thrown) {
        channel.close(toTributaryError(thrown));
      }
    },
  };
}
