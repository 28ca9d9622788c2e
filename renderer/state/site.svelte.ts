/** @file What a site's window knows of its site: status, members, datasets, runs. Read again when it changes. */

import { bridge } from '../bridge/bridge.ts';
import type { Output } from '../bridge/types.ts';
import { Resource } from './resource.svelte.ts';
import { together } from './together.ts';

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
    const arriving = together<Status>((arrived) => this.#take(arrived[arrived.length - 1]));
    bridge.on('status', (event) => {
      if (event.role === 'site') arriving.add(event.status);
    });
    bridge.on('changed', ({ what }) => {
      if (what === 'datasets') void this.datasets.load();
      if (what === 'runs') void this.runs.load();
      if (what === 'stage') void this.federation.load();
    });
  }

  #take(status: Status): void {
    const known = ({ runs, round, state }: Status): string => JSON.stringify([runs, round, state]);
    const before = this.status;
    this.status = status;
    // What a run is worth knowing of changes with its state and its rounds, not with its steps.
    if (before === null || known(before) !== known(status)) void this.runs.load();
  }
}

export const site = new Site();
