/** @file A whole simulation in one call: rows, virtual sites, an engine, the sweep and its reports. */

import { availableParallelism } from 'node:os';
import { TributaryError } from '../errors.ts';
import type { ModelIdentity, PlanRequest } from '../federation/plan.ts';
import { STRATEGIES } from '../federation/strategies/table.ts';
import { readAdapter } from '../model/adapter.ts';
import type { ModelConfiguration } from '../model/configuration.ts';
import { createEngineTrainer } from '../site/engine-trainer.ts';
import type { PartitionName } from './partitions/table.ts';
import { writeReports } from './reports/write.ts';
import type { Reports } from './reports/write.ts';
import { readRows } from './rows.ts';
import { runSweep } from './sweep.ts';
import type { ModelName, Sweep, SweepOptions } from './sweep.ts';

export interface SimulationOptions extends Pick<
  SweepOptions,
  'custom' | 'federate' | 'onFinished' | 'onProgress' | 'onRound'
> {
  readonly plan: PlanRequest;
  /** What the plan's model is, and its dimensions: of `openModel`, or of the catalogue. */
  readonly model: ModelIdentity;
  readonly configuration: ModelConfiguration;
  /** Path of a model that is not in the catalogue. */
  readonly modelPath?: string;
  /** A JSONL file, or a folder of such files or of subfolders with them: see `readRows`. */
  readonly data: string;
  /** Virtual sites; `federation.minSites` of the plan, or with `source` as many as there are sources. */
  readonly sites?: number;
  /** Default `iid`. */
  readonly partition?: PartitionName;
  /** Unevenness of `dirichlet` and `quantity`; default 0.3. */
  readonly alpha?: number;
  /** Field with the label for `dirichlet`. */
  readonly by?: string;
  /** Share of each site's rows held out where the data bring no held-out rows; default 0.2. */
  readonly heldOutShare?: number;
  /** Default that of the plan. */
  readonly seeds?: readonly number[];
  /** Strategies of the table or of `custom`, `local`, `centralised`; default that of the plan and `local`. */
  readonly models?: readonly ModelName[];
  /** PEFT folder of the adapter that round 0 starts from. */
  readonly start?: string;
  /** Of the engine; default all cores. */
  readonly threads?: number;
  /** Where results, adapters and reports lie; what is finished there is not done again. */
  readonly folder: string;
  readonly signal?: AbortSignal;
  /** Told in sentences what went wrong in a step and how it went on. */
  readonly onNote?: (sentence: string) => void;
}

export interface Simulation extends Sweep {
  /** Rows of another kind than the objective trains on. */
  readonly skippedRows: number;
  readonly reports: Reports;
}

/**
 * Simulates a federation for every seed and trains every model that is asked for.
 * @throws TributaryError `usage.invalid`, `data.*`, `plan.*`, `simulation.*`, `model.*`, `training.*`, `engine.*`
 */
export async function simulate(options: SimulationOptions): Promise<Simulation> {
  const {
    plan,
    model,
    configuration,
    custom = [],
    partition = 'iid',
    alpha = 0.3,
    heldOutShare = 0.2,
  } = options;
  const { seeds = [plan.seed], models = [...new Set([plan.federation.strategy.name, 'local'])] } = options;
  const { threads = availableParallelism(), signal = new AbortController().signal } = options;
  const known = [
    ...Object.keys(STRATEGIES),
    ...custom.map(({ name }) => name),
    'base',
    'local',
    'centralised',
  ];
  const unknown = models.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    const what = `There is no strategy ${unknown.join(', ')}; known are ${known.join(', ')}.`;
    throw new TributaryError('usage.invalid', what);
  }
  const rows = await readRows(options.data, plan.objective);
  const sites = options.sites ?? (partition === 'source' ? undefined : plan.federation.minSites);
  const { folder } = plan.adapter.start ?? {};
  if (folder !== undefined && options.start !== undefined) {
    const what = `adapter.start names the folder ${folder}, and ${options.start} is named beside the plan; a run has one start.`;
    throw new TributaryError('plan.invalid', what);
  }
  const from = folder ?? options.start;
  const start = from === undefined ? undefined : readAdapter(from, { identity: model, configuration });
  const engine = createEngineTrainer({ threads, model: options.modelPath, onNote: options.onNote });
  try {
    const sweep = await runSweep({
      ...options,
      experiment: {
        plan,
        model,
        configuration,
        rows,
        partition: { name: partition, sites, alpha, by: options.by },
        heldOutShare,
        ...(start && { start: start.tensors }),
      },
      seeds: [...new Set(seeds)],
      models: [...new Set(models)],
      custom,
      engine,
      threads,
      signal,
    });
    return { ...sweep, skippedRows: rows.skipped, reports: await writeReports(options.folder, sweep) };
  } finally {
    await engine.close();
  }
}
