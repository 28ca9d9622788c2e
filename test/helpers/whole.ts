/** @file A real hub and real sites in one process and one folder, with trainers of the test's choice. */

import { join } from 'node:path';
import { expect } from 'vitest';
import { readPlan } from '../../core/federation/plan.ts';
import type { Plan } from '../../core/federation/plan.ts';
import type { HubEvent } from '../../core/hub/context.ts';
import { initHub } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import type { Hub } from '../../core/hub/hub.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { askSite } from '../../core/site/ask.ts';
import type { Site } from '../../core/site/site.ts';
import type { RoundTrainer } from '../../core/site/trainer.ts';
import { importRows, SOFTWARE, start } from './site.ts';
import { until } from './until.ts';

export interface WholeFederation {
  readonly folder: string;
  readonly hub: () => Hub;
  readonly events: HubEvent[];
  /** Proposes a run for the tiny model, all of whose fields are pinned. */
  propose(plan: Plan): Promise<string>;
  startHub(): Promise<void>;
  startSite(name: string, trainer: RoundTrainer): Promise<void>;
  stopSite(name: string): Promise<void>;
  /** The adapters of a completed run as the sites have kept them, once all have. */
  adapters(run: string): Promise<NamedTensors[]>;
  stop(): Promise<void>;
}

/** Founds a federation whose sites approve everything. Site k holds 10 + k rows. */
export async function foundFederation(
  folder: string,
  trainers: Readonly<Record<string, RoundTrainer>>,
): Promise<WholeFederation> {
  const names = Object.keys(trainers);
  const sites = new Map<string, Site>();
  const saved = new Map<string, NamedTensors>();
  const events: HubEvent[] = [];
  let hub: Hub | undefined;
  const running = (): Hub => {
    if (hub === undefined) throw new Error('The hub is not started.');
    return hub;
  };
  const federation: WholeFederation = {
    folder,
    hub: running,
    events,
    startHub: async () => {
      hub = await startHub({
        folder: join(folder, 'hub'),
        heartbeatSeconds: 1,
        onEvent: (event) => void events.push(event),
      });
    },
    startSite: async (name, trainer) => {
      const site = await start(join(folder, name), trainer, {
        saveAdapter: (run, _plan, tensors) => {
          saved.set(`${run} ${name}`, tensors);
          return Promise.resolve();
        },
      });
      sites.set(name, site);
    },
    stopSite: async (name) => {
      await sites.get(name)?.stop();
      sites.delete(name);
    },
    propose: async (plan) => {
      const { model, adapter } = plan;
      const written = { ...plan, adapter: { ...adapter, start: undefined }, model: model.id };
      const request = readPlan(JSON.stringify(written));
      const proposed = await running().ask('propose', {
        plan: request,
        model,
        configuration: TINY_CONFIGURATION,
      });
      return proposed.run;
    },
    adapters: async (run) => {
      const kept = () => names.map((name) => saved.get(`${run} ${name}`));
      await until(() => expect(kept()).not.toContain(undefined));
      return kept().map((tensors) => tensors ?? new Map());
    },
    stop: async () => {
      for (const name of [...sites.keys()]) await federation.stopSite(name);
      await hub?.stop();
      hub = undefined;
    },
  };
  await initHub({ folder: join(folder, 'hub'), name: 'clinics' });
  await federation.startHub();
  for (const [index, name] of names.entries()) {
    const { invitation } = await running().ask('invite', { site: name });
    await askSite({ folder: join(folder, name), software: SOFTWARE }, 'join', { invitation });
    await importRows(join(folder, name), 10 + index);
    await askSite({ folder: join(folder, name), software: SOFTWARE }, 'approve', {
      standing: true,
      dataset: 'notes',
    });
    await federation.startSite(name, trainers[name]);
  }
  return federation;
}
