/** @file What a site's window knows of its site: status, members, datasets, runs. Read again when it changes. */

import { bridge } from '../bridge/bridge.ts';
import type { Output } from '../bridge/types.ts';
import { Resource } from './resource.svelte.ts';
import { together } from './together.ts';

type Federation = Output<'federation.status'>;
type Status = Omit<Federation, 'members' | 'keysPending' | 'metrics'>;
type OfFederation = Status['federations'][number];

class Site {
  status: Status | null = $state.raw(null);
  /** The federation that a person has chosen to look at, where there are several. */
  chosen: string | null = $state(null);
  readonly federation = new Resource(async () => {
    const most = await bridge.ask('federation.status', {});
    this.status = most;
    const { federation } = this.shown ?? most;
    if (federation === null || federation === most.federation) return most;
    return bridge.ask('federation.status', { federation });
  });
  readonly datasets = new Resource(async () => (await bridge.ask('data.list', {})).datasets);
  readonly rehearsals = new Resource(async () => (await bridge.ask('rehearsals.list', {})).rehearsals);
  readonly runs = new Resource(async () => (await bridge.ask('runs.list', {})).runs);
  #listening = false;

  /** How the site stands with the federation that is looked at: the chosen one, the first or the only one. */
  get shown(): OfFederation | null {
    const all = this.status?.federations ?? [];
    return all.find(({ federation }) => federation === this.chosen) ?? all.at(0) ?? this.status;
  }

  choose(federation: string | null): void {
    if (federation === this.chosen) return;
    this.chosen = federation;
    void this.federation.load();
  }

  /** How the site stands with the federation for which it works on a run, or has it wait. */
  ofRun(run: string): OfFederation | null {
    return this.status?.federations.find((each) => each.run === run) ?? null;
  }

  /** Reads everything; from then on events say what to read again. */
  load(): void {
    void this.federation.load();
    void this.datasets.load();
    void this.runs.load();
    void this.rehearsals.load();
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
    const before = this.status;
    this.status = status;
    const differs = (known: (of: OfFederation) => unknown): boolean =>
      before === null || worth(before, known) !== worth(status, known);
    // What a run is worth knowing of changes with its state and its rounds, not with its steps.
    if (differs(({ runs, round, state }) => [runs, round, state])) void this.runs.load();
    // Datasets tell which runs have used them.
    if (differs(({ runs }) => runs)) void this.datasets.load();
    if (differs(({ rehearsals }) => rehearsals)) void this.rehearsals.load();
    // The keys of both sides and the list of members.
    const { federation } = this;
    if (differs((now) => [now.siteFingerprint, now.hubFingerprint, now.roster])) void federation.load();
  }
}

/** Something of each federation, to be compared with what it was. */
function worth({ federations }: Status, known: (of: OfFederation) => unknown): string {
  return JSON.stringify(federations.map(known));
}

export const site = new Site();
