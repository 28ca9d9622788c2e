/** @file What a hub's window knows of its hub: status, sites, invitations, runs. Read again when it changes. */

import { bridge } from '../bridge/bridge.ts';
import type { Output } from '../bridge/types.ts';
import { Resource } from './resource.svelte.ts';

class Hub {
  status: Output<'hub.status'> | null = $state.raw(null);
  readonly sites = new Resource(async () => (await bridge.ask('hub.sites', {})).sites);
  readonly invitations = new Resource(async () => (await bridge.ask('hub.invitations', {})).invitations);
  readonly runs = new Resource(async () => (await bridge.ask('hub.runs', {})).runs);
  readonly problems = new Resource(async () => (await bridge.ask('hub.problems', {})).problems);
  readonly #first = new Resource(async () => (this.status = await bridge.ask('hub.status', {})));
  #listening = false;

  /** Why not even the status can be read. */
  get error() {
    return this.#first.error;
  }

  /** Reads everything; from then on events say what to read again. */
  load = (): void => {
    for (const resource of [this.#first, this.sites, this.invitations, this.runs, this.problems]) {
      void resource.load();
    }
    if (this.#listening) return;
    this.#listening = true;
    bridge.on('status', (event) => {
      if (event.role !== 'hub') return;
      const joined = this.status !== null && this.status.sites.members !== event.status.sites.members;
      this.status = event.status;
      void this.sites.load();
      void this.runs.load();
      if (joined) void this.invitations.load();
    });
    bridge.on('changed', ({ what }) => {
      if (what === 'invitations') void this.invitations.load();
      if (what === 'runs') void this.runs.load();
    });
  };
}

export const hub = new Hub();
