/** @file Answers about the time and memory of a run's steps on this machine, measured before a person decides. */

import { TributaryError } from '../../errors.ts';
import type { Plan } from '../../federation/plan.ts';
import { findInCatalogue } from '../../model/catalogue.ts';
import { readExamples } from '../../site/examples.ts';
import { probePlan, PROBE_STEPS } from '../../site/probe.ts';
import type { Probe } from '../../site/probe.ts';
import type { Problem } from '../contract/request.ts';
import { problemOf } from '../problem.ts';
import type { SettingsFile } from '../settings.ts';
import type { SiteApplication } from './application.ts';
import { engineOptions, isOnThisMachine } from './compute.ts';
import type { UsableDataset } from './usable-datasets.ts';

/** The model of a plan as this machine opens it, or null where it is not here. */
export function modelHere(settings: SettingsFile, { model: { id } }: Plan): string | null {
  const isKnown = id === 'tiny' || findInCatalogue(id) !== undefined;
  const reference = isKnown ? id : settings.get().modelPath;
  return reference !== null && isOnThisMachine(reference) ? reference : null;
}

/** An error for a model that has to be brought here first. */
export function modelMissing({ model: { id } }: Plan): TributaryError {
  return new TributaryError('results.no-model', `The model ${id} is not on this machine.`);
}

/**
 * Takes three steps of a plan as a task of the kind `measure`.
 * @param told of what was found before the task ends; what it gives is the task's result
 */
export function startProbe(
  { settings, tasks, site }: Pick<SiteApplication, 'settings' | 'tasks' | 'site'>,
  { run, plan, dataset }: { run: string; plan: Plan; dataset: string },
  told: (probe: Probe) => unknown,
): string {
  const model = modelHere(settings, plan);
  if (model === null) throw modelMissing(plan);
  const { examples } = readExamples(site().context.vault, dataset, plan);
  return tasks.start({ kind: 'measure', subject: run, unit: 'steps' }, async ({ signal, progress }) => {
    progress({ done: 0, total: PROBE_STEPS });
    const request = { plan, examples, engine: engineOptions(settings, model) };
    return told(await probePlan(request, { signal, onStep: (step) => progress({ done: step }) }));
  });
}

/** What a person has to bring before a plan can be approved. */
export function missingOf(
  settings: SettingsFile,
  plan: Plan,
  datasets: readonly UsableDataset[],
): Problem | null {
  if (!datasets.some(({ refused }) => refused === null)) return nothingUsable(datasets.length);
  return modelHere(settings, plan) === null ? problemOf(modelMissing(plan)) : null;
}

function nothingUsable(datasets: number): Problem {
  return datasets === 0
    ? { code: 'vault.unknown-dataset', message: 'No data is connected.', hint: 'Connect a dataset first.' }
    : problemOf(new TributaryError('data.wrong-kind', 'No dataset here fits this run.'));
}
