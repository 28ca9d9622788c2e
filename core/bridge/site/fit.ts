/** @file Whether a run fits this machine, before anything is computed: by the formula of the model's requirements. */

import { statfsSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';
import { stepsOfSite } from '../../federation/local-steps.ts';
import type { Plan } from '../../federation/plan.ts';
import { findInCatalogue } from '../../model/catalogue.ts';
import type { ModelConfiguration } from '../../model/configuration.ts';
import { loraShapes } from '../../model/lora.ts';
import { trainingMemory } from '../../model/requirements.ts';
import { TINY_CONFIGURATION } from '../../model/tiny.ts';
import type { Probe } from '../../site/probe.ts';
import type { Fit } from '../contract/runs.ts';

export interface FitQuestion {
  readonly plan: Plan;
  /** Rows of the dataset, null while none is chosen. */
  readonly examples: number | null;
  readonly folder: string;
  /** Of rounds that this site has trained; null before. */
  readonly secondsPerStep: number | null;
  /** What three steps took, where they were measured. */
  readonly probe: Probe | null;
}

/** Adapters of rounds that lie on the disk at once: base, update, aggregate, adapter. */
const ADAPTERS_KEPT = 4;

export function fitOf({ plan, examples, folder, secondsPerStep, probe }: FitQuestion): Fit {
  const { model, training, adapter } = plan;
  const configuration = model.id === 'tiny' ? TINY_CONFIGURATION : findInCatalogue(model.id)?.configuration;
  const shape = { length: training.maxLength, rank: adapter.rank };
  const precision = training.precision === 'int4' ? 'int4' : 'f32';
  const estimated = configuration && Math.round(trainingMemory(configuration, precision, shape));
  const adapterBytes = configuration && bytesOfAdapter(configuration, adapter);
  const { bavail, bsize } = statfsSync(folder);
  const steps = examples === null ? training.steps : stepsOfSite(plan, examples);
  return {
    ...judge(probe?.memory ?? estimated ?? null),
    diskNeeded: ADAPTERS_KEPT * (adapterBytes ?? 0),
    diskFree: bavail * bsize,
    ...timeOf(steps, secondsPerStep, probe),
  };
}

/** Rounds say more than a probe. */
function timeOf(
  steps: number,
  secondsPerStep: number | null,
  probe: Probe | null,
): Pick<Fit, 'secondsRound' | 'secondsFrom'> {
  if (secondsPerStep !== null) return { secondsRound: secondsPerStep * steps, secondsFrom: 'rounds' };
  if (probe !== null) return { secondsRound: probe.secondsPerStep * steps, secondsFrom: 'probe' };
  return { secondsRound: null, secondsFrom: null };
}

function bytesOfAdapter(configuration: ModelConfiguration, adapter: Plan['adapter']): number {
  const shapes = loraShapes(configuration, adapter);
  return [...shapes.values()].reduce((sum, { shape: [rows, columns] }) => sum + 4 * rows * columns, 0);
}

/** Another program may give its memory back, so what is not free now is not out of reach. */
function judge(
  memoryNeeded: number | null,
): Pick<Fit, 'memoryNeeded' | 'memoryFree' | 'memoryTotal' | 'verdict'> {
  const [memoryFree, memoryTotal] = [freemem(), totalmem()];
  return { memoryNeeded, memoryFree, memoryTotal, verdict: verdictOf(memoryNeeded, memoryFree, memoryTotal) };
}

function verdictOf(needed: number | null, free: number, total: number): Fit['verdict'] {
  if (needed === null) return 'unknown';
  if (needed <= free) return 'fits';
  return needed <= total ? 'tight' : 'does-not-fit';
}
