/** @file A dataset's rows: a page of them, or what a search has found so far. */

import { bridge } from '../../bridge/bridge.ts';
import type { EventBody } from '../../bridge/types.ts';
import { Action, Resource } from '../../state/resource.svelte.ts';
import { tasks } from '../../state/tasks.svelte.ts';

export const PAGE_ROWS = 25;

export class Rows {
  offset = $state(0);
  hits: EventBody<'search'>['hits'] = $state.raw([]);
  scanned = $state(0);
  searched: string | null = $state(null);
  task: string | null = $state(null);
  readonly page;
  readonly #dataset: string;

  constructor(dataset: string) {
    this.#dataset = dataset;
    this.page = new Resource(() =>
      bridge.ask('data.rows', { dataset, offset: this.offset, limit: PAGE_ROWS }),
    );
  }

  turn(offset: number): void {
    this.offset = Math.max(0, offset);
    void this.page.load();
  }

  /** Hits are there as soon as they are found; another search ends the one before. */
  readonly search = new Action(async (text: string) => {
    this.clear();
    if (text.trim() === '') return;
    this.searched = text.trim();
    const early: EventBody<'search'>[] = [];
    let mine: string | null = null;
    const take = ({ hits, scanned }: EventBody<'search'>) => {
      this.hits = [...this.hits, ...hits];
      this.scanned = scanned;
    };
    const stop = bridge.on('search', (event) => {
      if (mine === null) early.push(event);
      else if (event.task === mine) take(event);
    });
    try {
      const { task } = await bridge.ask('data.search', { dataset: this.#dataset, text: this.searched });
      mine = task;
      this.task = task;
      early.filter((event) => event.task === task).forEach(take);
      await tasks.ended(task);
    } finally {
      stop();
      this.task = null;
    }
  });

  clear(): void {
    if (this.task !== null) tasks.cancel(this.task);
    this.hits = [];
    this.scanned = 0;
    this.searched = null;
  }
}
