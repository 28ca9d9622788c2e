/**
 * @file Updates that wait in memory: for their blob, which is on its way, or for the round that a late one counts in. A
 * site whose hub forgets them tells it again.
 */

import type { MessageOf } from '../federation/messages.ts';
import type { HubContext } from './context.ts';
import { takeUpdate } from './updates.ts';

export interface WaitingUpdates {
  take(site: string, message: MessageOf<'update'>): void;
  /** A site's blob has arrived. */
  arrived(site: string, hash: string): void;
  /** Looks again at those that wait for a round, or could not be written; returns whether one of them counts now. */
  again(): boolean;
}

export function createWaitingUpdates(hub: HubContext): WaitingUpdates {
  const sending = new Map<string, MessageOf<'update'>>();
  const held = new Map<string, MessageOf<'update'>>();

  /** Where it throws, such as with a full disk, the message waits on as it did. */
  function take(site: string, message: MessageOf<'update'>): boolean {
    const outcome = takeUpdate(hub, site, message);
    for (const [name, list] of [['waiting', sending] as const, ['held', held] as const]) {
      if (outcome === name) list.set(site, message);
      else if (list.get(site) === message) list.delete(site);
    }
    return outcome === 'committed';
  }

  return {
    take: (site, message) => void take(site, message),
    arrived: (site, hash) => {
      const message = sending.get(site);
      if (message?.blob.hash === hash) take(site, message);
    },
    again: () => {
      const arrived = [...sending].filter(([, { blob }]) => hub.blobs.has(blob.hash));
      return [...held, ...arrived].filter(([site, message]) => take(site, message)).length > 0;
    },
  };
}
