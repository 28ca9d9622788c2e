/** @file Writing a plan in a hub's window: its fields, plans to begin with, what is wrong with it, proposing it. */

import { z } from 'zod';
import { toTributaryError } from '../../errors.ts';
import { inspectPlan, planJsonSchema, readPlan } from '../../federation/plan.ts';
import type { PlanProblem, PlanRequest } from '../../federation/plan.ts';
import { presetNames, readPreset } from '../../federation/presets.ts';
import { findModel } from '../../federation/plan-model.ts';
import type { Output } from '../contract.ts';
import type { Handlers } from '../dispatch.ts';
import type { HubApplication } from './application.ts';

const jsonObject = z.record(z.string(), z.json());
type Preset = Output<'hub.plan.presets'>['presets'][number];

export function planHandlers({ hub }: HubApplication): Handlers {
  return {
    'hub.plan.schema': () => ({ schema: jsonObject.parse(planJsonSchema()) }),
    'hub.plan.presets': async () => ({ presets: await listPresets() }),
    'hub.plan.check': async ({ plan: written }) => {
      const { problems, plan } = inspectPlan(written);
      const model = plan === null ? [] : await modelProblems(plan);
      const found = [...problems, ...model].map(({ field, message }) => ({ field, message }));
      return { problems: found, plan: found.length === 0 ? jsonObject.parse(plan) : null };
    },
    'hub.propose': async ({ plan: written }) => {
      const plan = readPlan(JSON.stringify(written));
      const { run, planHash } = await hub.ask('propose', { plan, ...(await findModel(plan.model)) });
      return { run, planHash };
    },
    'hub.rehearse': async ({ plan: written }) => {
      const plan = readPlan(JSON.stringify(written));
      const { rehearsal } = await hub.ask('rehearse', { plan, ...(await findModel(plan.model)) });
      return { rehearsal };
    },
    'hub.rehearsal': async ({ rehearsal }) => {
      const report = await hub.ask('rehearsal', { rehearsal });
      return { ...report, sites: [...report.sites] };
    },
  };
}

/** Those for a first run before those that reproduce published ones. */
async function listPresets(): Promise<Preset[]> {
  const names = await presetNames();
  const isFirst = (name: string): boolean => name.startsWith('first-');
  const ordered = [...names.filter(isFirst), ...names.filter((name) => !isFirst(name))];
  return Promise.all(
    ordered.map(async (id) => {
      const { plan, about } = await readPreset(id);
      return { id, title: id, about, plan: jsonObject.parse(plan) };
    }),
  );
}

/** The hub makes the initial adapter from the model's dimensions, so it has to know the model. */
async function modelProblems({ model }: PlanRequest): Promise<Pick<PlanProblem, 'field' | 'message'>[]> {
  try {
    await findModel(model);
    return [];
  } catch (thrown) {
    const { message, windowHint } = toTributaryError(thrown);
    return [{ field: 'model', message: `${message} ${windowHint}` }];
  }
}
