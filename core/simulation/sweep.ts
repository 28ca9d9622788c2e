/**
 * @file All combinations of seeds and strategies with what they are compared with. Each that is finished is a file
 * named by a hash of everything that decides it, so that a sweep that was stopped goes on where it was.
 */

import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../files.ts';
import { canonicalJson, sha256 } from '../federation/canonical.ts';
import type { Json } from '../federation/canonical.ts';
import { encodeTensors } from '../federation/codec.ts';
import type { Plan } from '../federation/plan.ts';
import { strategySchema } from '../federation/strategies/table.ts';
import { writeAdapter } from '../model/adapter.ts';
import type { EngineTrainer } from '../site/engine-trainer.ts';
import { resultSchema, runCombination, workOf } from './combination.ts';
import type { CombinationOptions, CombinationResult, Kind } from './combination.ts';
import { federationOf } from './experiment.ts';
import type { Experiment, Federation } from './experiment.ts';
import type { RoundOutcome } from './federated.ts';
import type { LoadedStrategy } from './strategy-file.ts';

/** What is compared: `base`, `local`, `centralised`, or the name of a strategy. */
export type ModelName = string;

export interface SweepOptions {
  readonly experiment: Experiment;
  readonly seeds: readonly number[];
  /** Of which each seed gets one; the base model is always among them. */
  readonly models: readonly ModelName[];
  /** Strategies that are not of the table, which `models` may name too. */
  readonly custom?: readonly LoadedStrategy[];
  /** Plays the rounds otherwise than in this process, to the same adapter. */
  readonly federate?: CombinationOptions['federate'];
  readonly engine: EngineTrainer;
  /** Of the engine: another number may give other last bits, so what one made is not taken for the other's. */
  readonly threads: number;
  /** Where results and adapters lie. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly onRound?: (at: { readonly seed: number; readonly model: ModelName }, round: RoundOutcome) => void;
  readonly onFinished?: (combination: Combination) => void;
  /** Share of the whole work that is done, 0 to 1. */
  readonly onProgress?: (share: number, detail: string) => void;
}

export interface Combination {
  readonly seed: number;
  readonly model: ModelName;
  readonly result: CombinationResult;
  /** PEFT folder, where the model has an adapter of its own. */
  readonly adapter: string | null;
  /** Whether it was there already. */
  readonly kept: boolean;
}

export interface Sweep {
  readonly combinations: readonly Combination[];
  /** By seed, in the order they were asked for. */
  readonly federations: readonly Federation[];
}

interface Job {
  readonly seed: number;
  readonly model: ModelName;
  readonly kind: Kind;
  readonly federation: Federation;
  readonly custom: LoadedStrategy | null;
  readonly key: string;
}

/**
 * Runs what is not finished yet, one after the other in one engine.
 * @throws TributaryError `plan.*`, `simulation.*`, `training.*`, `engine.*`, `disk.full`
 */
export async function runSweep(options: SweepOptions): Promise<Sweep> {
  const { experiment, seeds, folder, engine, signal, onProgress } = options;
  const federations = seeds.map((seed) => federationOf(experiment, seed));
  const models = ['base', ...options.models.filter((model) => model !== 'base')];
  const jobs = seeds.flatMap((seed, index) =>
    models.map((model) => jobOf({ ...options, seed, model, federation: federations[index] })),
  );
  await mkdir(join(folder, 'combinations'), { recursive: true });
  const total = jobs.reduce((sum, { federation, kind }) => sum + workOf(federation, kind), 0);
  let before = 0;
  const combinations: Combination[] = [];
  for (const job of jobs) {
    const { seed, model, federation, kind } = job;
    const at = { seed, model };
    const adapter = join(folder, 'adapters', `${model}-seed-${seed}`);
    const path = join(folder, 'combinations', `${job.key}.json`);
    let result = await readResult(path, hasAdapter(kind) ? adapter : null, job.key);
    const kept = result !== null;
    const after = before + workOf(federation, kind);
    if (result === null) {
      let done = before;
      const made = await runCombination({
        federation,
        kind,
        strategy: job.custom?.create(),
        federate: options.federate,
        engine,
        signal,
        onRound: (round) => options.onRound?.(at, round),
        onWork: (units, detail) => {
          // Sums of thirds come out a little high.
          done = Math.min(done + units, after);
          onProgress?.(done / total, detail);
        },
      });
      result = made.result;
      if (made.adapter) {
        const { configuration } = experiment;
        const base = { identity: federation.plan.model, configuration };
        await writeAdapter(adapter, { configuration: federation.plan.adapter, tensors: made.adapter }, base);
        await writeFileAtomically(join(adapter, KEY_FILE), `${job.key}\n`, 0o644);
      }
      // Last, so that a result is never there without its adapter.
      await writeFileAtomically(path, `${JSON.stringify({ ...at, kind, ...result })}\n`, 0o644);
    }
    before = after;
    onProgress?.(before / total, `${model}, seed ${seed}`);
    const combination = { ...at, result, adapter: hasAdapter(kind) ? adapter : null, kept };
    combinations.push(combination);
    options.onFinished?.(combination);
  }
  return { combinations, federations };
}

/** In an adapter's folder, which combination it is of. */
const KEY_FILE = 'combination.txt';

function hasAdapter(kind: Kind): boolean {
  return kind === 'federated' || kind === 'centralised';
}

function kindOf(model: ModelName): Kind {
  return model === 'base' || model === 'local' || model === 'centralised' ? model : 'federated';
}

function jobOf({
  experiment,
  custom = [],
  federation: { plan: pinned, ...rest },
  seed,
  model,
  threads,
}: Pick<SweepOptions, 'experiment' | 'threads' | 'custom'> & {
  federation: Federation;
  seed: number;
  model: ModelName;
}): Job {
  const kind = kindOf(model);
  const own = custom.find(({ name }) => name === model) ?? null;
  const { strategy } = experiment.plan.federation;
  const isPlanned = kind !== 'federated' || model === strategy.name;
  const chosen = own?.planned ?? (isPlanned ? strategy : strategySchema.parse({ name: model }));
  const plan: Plan = { ...pinned, federation: { ...pinned.federation, strategy: chosen } };
  const federation = { plan, ...rest };
  return {
    seed,
    model,
    kind,
    federation,
    custom: own,
    key: keyOf({ kind, federation, custom: own, threads }),
  };
}

/** Everything that decides the numbers of a combination, and nothing else. */
function keyOf({
  kind,
  federation: { plan, sites, heldOut, start },
  custom,
  threads,
}: Pick<Job, 'kind' | 'federation' | 'custom'> & { threads: number }): string {
  const { model, objective, training, federation, adapter, seed } = plan;
  const measured = { model, objective, text: [training.template, training.maxLength, training.precision] };
  const rows = sites.map(({ name, train }) => [
    name,
    sha256(JSON.stringify(train.map(({ example }) => example))),
  ]);
  const decides = {
    format: 1,
    kind,
    threads,
    measured,
    heldOut: sha256(JSON.stringify(heldOut)),
    dpo: training.dpo ?? null,
    start: adapter.start?.hash ?? null,
    ...(kind !== 'base' && {
      training,
      adapter,
      seed,
      rounds: federation.rounds,
      rows,
      initial: sha256(encodeTensors(start)),
    }),
    ...(kind === 'federated' && { federation, custom: custom?.hash ?? null, personal: plan.personal }),
  };
  // Through JSON, which leaves out fields that are undefined.
  return sha256(canonicalJson(JSON.parse(JSON.stringify(decides)) as Json));
}

/** A finished combination, or null where it or its adapter is not there. */
async function readResult(
  path: string,
  adapter: string | null,
  key: string,
): Promise<CombinationResult | null> {
  if (!existsSync(path)) return null;
  if (adapter !== null) {
    const marker = join(adapter, KEY_FILE);
    if (!existsSync(marker) || (await readFile(marker, 'utf8')).trim() !== key) return null;
  }
  const parsed = resultSchema.safeParse(parseJson(await readFile(path, 'utf8')));
  return parsed.success ? parsed.data : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // damaged: it is made anew
  }
}
