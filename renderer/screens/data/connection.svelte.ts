/** @file A file on its way into the vault: inspected, mapped, previewed, screened for personal data, imported. */

import { bridge } from '../../bridge/bridge.ts';
import type { Input, Output } from '../../bridge/types.ts';
import { Action, Resource } from '../../state/resource.svelte.ts';
import { site } from '../../state/site.svelte.ts';
import { tasks } from '../../state/tasks.svelte.ts';
import { missingRole } from './mapping.ts';
import type { Inspection, Mapping } from './mapping.ts';

export type Finding = Output<'data.screen'>['findings'][number];
export type Choice = Finding['advice'];
export const CHOICES: readonly Choice[] = ['mask', 'exclude', 'keep'];

export class Connection {
  readonly path: string;
  inspection: Inspection | null = $state.raw(null);
  mapping: Mapping | null = $state.raw(null);
  name = $state('');
  /** Shares of the rows in percent. */
  validation = $state('0');
  test = $state('0');
  /** Column that says whose row it is; empty for none. */
  person = $state('');
  /** By kind of personal data; a kind that is not here has what is advised. */
  readonly choices: Record<string, Choice> = $state({});
  task: string | null = $state(null);
  readonly #imported: (dataset: string) => void;

  constructor(path: string, imported: (dataset: string) => void) {
    this.path = path;
    this.#imported = imported;
  }

  readonly inspecting = new Action(async () => {
    const inspection = await bridge.ask('data.inspect', { path: this.path });
    this.inspection = inspection;
    this.name = inspection.suggestedName;
    this.person = inspection.person ?? '';
    this.map(inspection.guess?.mapping ?? null);
  });

  /** Preview and screening see the file as it is mapped now. */
  map(mapping: Mapping | null): void {
    this.mapping = mapping;
    if (mapping === null || missingRole(mapping) !== null) return;
    void this.preview.load();
    void this.screening.load();
  }

  readonly preview = new Resource(() => bridge.ask('data.preview', { source: this.#source() }));
  readonly screening = new Resource(() => bridge.ask('data.screen', { source: this.#source() }));

  #source(): { path: string; mapping: Mapping } {
    if (this.mapping === null) throw new Error('Nothing is mapped.');
    return { path: this.path, mapping: this.mapping };
  }

  /** There is a dataset of this name, of which the import makes a new version. */
  get taken(): boolean {
    return site.datasets.value?.some(({ name }) => name === this.name.trim()) ?? false;
  }

  choiceOf(finding: Finding): Choice {
    return this.choices[finding.kind] ?? finding.advice;
  }

  readonly importing = new Action(async () => {
    const findings = this.screening.value?.findings ?? [];
    const personal = Object.fromEntries(findings.map((finding) => [finding.kind, this.choiceOf(finding)]));
    const request: Input<'data.import'> = {
      ...this.#source(),
      name: this.name.trim(),
      personal,
      // Nobody has seen them: the screening looked at the first rows only.
      unseen: 'mask',
      newVersion: this.taken,
      split: { validation: Number(this.validation) / 100, test: Number(this.test) / 100 },
      person: this.person === '' ? null : this.person,
      document: this.inspection?.document ?? null,
    };
    const { task } = await bridge.ask('data.import', request);
    this.task = task;
    try {
      await tasks.ended(task);
    } finally {
      this.task = null;
    }
    this.#imported(this.name.trim());
  });
}
