/** @file Runs in a hub's window: where each stands, what a coordinator does with it, its adapter as a folder. */

import { z } from 'zod';
import { TributaryError } from '../../errors.ts';
import { planOf } from '../../hub/proposals.ts';
import type { CheckedInput } from '../contract.ts';
import type { HubRun } from '../contract/hub.ts';
import type { Handlers } from '../dispatch.ts';
import type { HubApplication } from './application.ts';

const jsonObject = z.record(z.string(), z.json());

export function runHandlers(application: HubApplication): Handlers {
  const { hub, emit } = application;
  return {
    'hub.runs': async () => ({ runs: await statuses(application) }),
    'hub.run': async ({ run: id }) => {
      const run = (await statuses(application)).find((one) => one.id === id);
      const record = hub.context.runs.run(id);
      if (run === undefined || record === null) {
        throw new TributaryError('run.unknown', `The hub has no run ${id}.`);
      }
      return { run, plan: jsonObject.parse(planOf(record)) };
    },
    'hub.control': async (wanted) => {
      await control(application, wanted);
      emit('changed', { what: 'runs' });
      return {};
    },
    'hub.export': async ({ run, folder, round }) => {
      const made = await hub.ask('export', { run, out: folder, round });
      return { folder: made.adapter, round: made.round ?? 0 };
    },
  };
}

/** Newest first. */
async function statuses({ hub }: HubApplication): Promise<HubRun[]> {
  const { runs } = await hub.ask('status', {});
  const shown = runs.map((run): HubRun => ({
    ...run,
    sites: [...run.sites],
    history: run.history.map((round) => ({
      ...round,
      cohort: [...round.cohort],
      sites: [...round.sites],
    })),
  }));
  return shown.reverse();
}

async function control({ hub }: HubApplication, { run, action }: CheckedInput<'hub.control'>): Promise<void> {
  switch (action.kind) {
    case 'pause':
      await hub.ask('pause', { run, ...said(action) });
      return;
    case 'resume':
      await hub.ask('resume', { run });
      return;
    case 'stop':
      await hub.ask('cancel', { run, ...said(action) });
      return;
    case 'extend':
      await hub.ask('extend', { run, rounds: action.rounds, deadline: action.deadline });
  }
}

/** Without a reason the hub says that the coordinator did it. */
function said({ reason }: { readonly reason: string }): { reason?: string } {
  return reason.trim() === '' ? {} : { reason };
}
