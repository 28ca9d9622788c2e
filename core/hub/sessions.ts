/** @file Who is connected: the sites' two channels, what they last said, the bytes they moved. */

import { TributaryError } from '../errors.ts';
import type { Channel } from '../federation/channel.ts';
import type { MessageOf, SocketRole } from '../federation/messages.ts';
import type { Outbox, Presence } from './context.ts';

interface Session {
  readonly channels: Map<SocketRole, Channel>;
  /** Sealed bytes of channels that are gone, and of all of them those that are written down. */
  past: { up: number; down: number };
  readonly settled: { up: number; down: number };
  since: number;
  progress: Presence['progress'];
  trouble: Presence['trouble'];
}

export interface Sessions extends Outbox {
  /** Enters a channel; it leaves by itself when it closes. */
  enter(site: string, channel: Channel): void;
  heard(site: string, message: MessageOf<'progress'> | MessageOf<'trouble'>): void;
  connected(): string[];
}

/** `now` gives Unix seconds. */
export function createSessions(now: () => number): Sessions {
  const sessions = new Map<string, Session>();
  const sessionOf = (site: string): Session => {
    const known = sessions.get(site);
    if (known !== undefined) return known;
    const fresh: Session = {
      channels: new Map(),
      past: { up: 0, down: 0 },
      settled: { up: 0, down: 0 },
      since: now(),
      progress: null,
      trouble: null,
    };
    sessions.set(site, fresh);
    return fresh;
  };

  return {
    enter(site, channel) {
      const session = sessionOf(site);
      session.channels.set(channel.role, channel);
      if (channel.role === 'control') session.since = now();
      void channel.closed.then(() => {
        session.past.up += channel.bytes.received;
        session.past.down += channel.bytes.sent;
        // A newer channel of the same kind may have taken the place.
        if (session.channels.get(channel.role) !== channel) return;
        session.channels.delete(channel.role);
        if (channel.role !== 'control') return;
        session.since = now();
        session.progress = null;
        session.trouble = null;
      });
    },
    heard(site, message) {
      const session = sessionOf(site);
      if (message.type === 'trouble') {
        const { run, code, reason } = message;
        session.trouble = { run, code, reason, since: now() };
        return;
      }
      const { run, round, phase, step, steps } = message;
      session.progress = { run, round, phase, step, steps };
      session.trouble = null;
    },
    connected: () => [...sessions].flatMap(([site, { channels }]) => (channels.has('control') ? [site] : [])),
    send: (site, message) => sessions.get(site)?.channels.get('control')?.send(message),
    traffic(site) {
      const { past, settled, channels } = sessionOf(site);
      const traffic = { site, up: past.up - settled.up, down: past.down - settled.down };
      for (const { bytes } of channels.values()) {
        traffic.up += bytes.received;
        traffic.down += bytes.sent;
      }
      return traffic;
    },
    settleTraffic({ site, up, down }) {
      const { settled } = sessionOf(site);
      settled.up += up;
      settled.down += down;
    },
    presence(site) {
      const session = sessions.get(site);
      if (session === undefined) {
        return { connected: false, since: null, silentSeconds: null, progress: null, trouble: null };
      }
      const { since, progress, trouble } = session;
      const control = session.channels.get('control');
      const silentSeconds = control?.silentSeconds() ?? null;
      return { connected: control !== undefined, since, silentSeconds, progress, trouble };
    },
    disconnect(site, code) {
      const reason = new TributaryError(code, `The membership of ${site} was revoked.`);
      for (const channel of [...(sessions.get(site)?.channels.values() ?? [])]) channel.close(reason);
    },
  };
}
