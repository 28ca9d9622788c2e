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
  /** Looks again at those that wait for a round; returns whether one of them counts now. */
  again(): boolean;
}

export function createWaitingUpdates(hub: HubContext): WaitingUpdates {
  const sending = new Map<string, MessageOf<'update'>>();
  const held = new Map<string, MessageOf<'update'>>();

  function take(site: string, message: MessageOf<'update'>): boolean {
    const outcome = takeUpdate(hub, site, message);
    if (outcome === 'waiting') sending.set(site, message);
    if (outcome === 'held') held.set(site, message);
    return outcome === 'committed';
  }

  return {
    take: (site, message) => void take(site, message),
    arrived: (site, hash) => {
      const message = sending.get(site);
      if (message?.blob.hash !== hash) return;
      sending.delete(site);
      take(site, message);
    },
    again: () => {
      const entries = [...held];
      held.clear();
      return entries.filter(([site, message]) => take(site, message)).length > 0;
    },
  };
}
