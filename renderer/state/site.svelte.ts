/** @file What a site's window knows of its site: status, members, datasets, runs. Read again when it changes. */

import { bridge } from '../bridge/bridge.ts';
import type { Output } from '../bridge/types.ts';
import { Resource } from './resource.svelte.ts';

type Federation = Output<'federation.status'>;
type Status = Omit<Federation, 'members' | 'fingerprint' | 'metrics'>;

class Site {
  status: Status | null = $state.raw(null);
  readonly federation = new Resource(async () => {
    const federation = await bridge.ask('federation.status', {});
    this.status = federation;
    return federation;
  });
  readonly datasets = new Resource(async () => (await bridge.ask('data.list', {})).datasets);
  readonly runs = new Resource(async () => (await bridge.ask('runs.list', {})).runs);
  #listening = false;

  /** Reads everything; from then on events say what to read again. */
  load(): void {
    void this.federation.load();
    void this.datasets.load();
    void this.runs.load();
    if (this.#listening) return;
    this.#listening = true;
    bridge.on('status', (event) => {
      if (event.role !== 'site') return;
      const before = JSON.stringify([this.status?.runs, this.status?.round, this.status?.state]);
      this.status = event.status;
      // What a run is worth knowing of changes with its state and its rounds, not with its steps.
      if (before !== JSON.stringify([event.status.runs, event.status.round, event.status.state])) {
        void this.runs.load();
      }
    });
    bridge.on('changed', ({ what }) => {
      if (what === 'datasets') void this.datasets.load();
      if (what === 'runs') void this.runs.load();
      if (what === 'stage') void this.federation.load();
    });
  }
}

export const site = new Site();
