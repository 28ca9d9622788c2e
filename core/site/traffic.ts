/**
 * @file Counts what leaves this machine for the hub: every byte that the system's sockets were given, of every
 * connection, also of those that failed; with TLS and a proxy also what these take.
 */

import type { Channel } from '../federation/channel.ts';
import { noTraffic, TRAFFIC_KINDS } from '../federation/traffic.ts';
import type { Traffic } from '../federation/traffic.ts';
import type { FederationStore } from './federation-store.ts';
import type { SiteStore } from './store.ts';

/** A socket of the system. */
export interface CountedStream {
  readonly bytesWritten: number;
  readonly bytesRead: number;
  readonly destroyed: boolean;
}

export interface Meter {
  /** Counts a stream from its beginning. */
  watch(stream: CountedStream): void;
  /** Says what the bytes of a stream are; without one the channel itself is counted, as in a simulation. */
  attach(channel: Channel, stream?: CountedStream): void;
  /** What was sent since it was last written down. */
  readonly unwritten: () => Traffic;
  /** Writes down what has come since the last time; where that throws, it is left for the next time. */
  readonly flush: () => void;
}

interface Entry {
  stream: CountedStream | null;
  channel: Channel | null;
  ended: boolean;
  told: Record<keyof Traffic, number>;
  received: number;
}

export function createMeter(store: Pick<SiteStore | FederationStore, 'countTraffic'>): Meter {
  const entries = new Set<Entry>();

  function watch(stream: CountedStream | null): Entry {
    const entry = { stream, channel: null, ended: false, told: noTraffic(), received: 0 };
    entries.add(entry);
    return entry;
  }

  function unwritten(): Record<keyof Traffic, number> {
    const left = noTraffic();
    for (const entry of entries) {
      const now = kindsOf(entry);
      for (const kind of TRAFFIC_KINDS) left[kind] += now[kind] - entry.told[kind];
    }
    return left;
  }

  function flush(): void {
    const left = unwritten();
    const received = [...entries].reduce((sum, entry) => sum + receivedBy(entry) - entry.received, 0);
    if (received > 0 || TRAFFIC_KINDS.some((kind) => left[kind] !== 0)) store.countTraffic(left, received);
    for (const entry of entries) {
      entry.told = kindsOf(entry);
      entry.received = receivedBy(entry);
      if (entry.stream === null ? entry.ended : entry.stream.destroyed) entries.delete(entry);
    }
  }

  return {
    watch: (stream) => void watch(stream),
    attach: (channel, stream) => {
      const known = stream && [...entries].find((entry) => entry.stream === stream);
      const entry = known ?? watch(stream ?? null);
      entry.channel = channel;
      void channel.closed.then(() => (entry.ended = true));
    },
    unwritten,
    flush,
  };
}

function receivedBy({ stream, channel }: Entry): number {
  return stream?.bytesRead ?? channel?.bytes.received ?? 0;
}

/** Where the system counts more than the messages, the rest is what carries them. */
function kindsOf({ stream, channel }: Entry): Record<keyof Traffic, number> {
  const kinds = channel === null ? noTraffic() : { ...channel.sentByKind };
  if (stream === null) return kinds;
  const others = TRAFFIC_KINDS.reduce((sum, kind) => (kind === 'connection' ? sum : sum + kinds[kind]), 0);
  return { ...kinds, connection: stream.bytesWritten - others };
}
