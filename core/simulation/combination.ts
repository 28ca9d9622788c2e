/** @file One model of a simulation: trained for one seed, in one way, and measured on the held-out rows. */

import { z } from 'zod';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBlobStore } from '../federation/blobs.ts';
import { stepsOfSite } from '../federation/local-steps.ts';
import { isPersonal } from '../federation/schedule.ts';
import type { Strategy } from '../federation/strategies/strategy.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { EngineTrainer } from '../site/engine-trainer.ts';
import { pooled, trainAlone, trainOwn } from './alone.ts';
import { virtualSite } from './experiment.ts';
import type { Federation } from './experiment.ts';
import { referenceOf, runFederated } from './federated.ts';
import type { FederatedOptions, FederatedRun, RoundOutcome, VirtualSite } from './federated.ts';
import { measure } from './measure.ts';
import type { Outcome } from './measure.ts';

/** The model as it is, one model a site, one of all rows, or the federated one. */
export const KINDS = ['base', 'local', 'centralised', 'federated'] as const;
export type Kind = (typeof KINDS)[number];

const outcomeSchema = z.object({
  loss: z.number(),
  weight: z.number(),
  answerLoss: z.number(),
  answerTokens: z.number(),
  hit: z.number().optional(),
});
const roundSchema = z.object({
  round: z.number(),
  loss: z.number(),
  accuracy: z.number().optional(),
  margin: z.number().optional(),
  bytesUp: z.number(),
  bytesDown: z.number(),
  seconds: z.number(),
});

/** What is kept of a finished combination. */
export const resultSchema = z.object({
  rounds: z.array(roundSchema),
  cohortRounds: z.record(z.string(), z.number()),
  /** Of each model of the kind (one a site of `local`), what it makes of each held-out row. */
  members: z.array(z.array(outcomeSchema)),
  /** The same of the sites' own copies, where the plan has them. */
  personal: z.array(z.array(outcomeSchema)).optional(),
  seconds: z.number(),
});
export type CombinationResult = z.infer<typeof resultSchema>;

export interface CombinationOptions {
  readonly federation: Federation;
  readonly kind: Kind;
  /** In place of the plan's. */
  readonly strategy?: Strategy;
  /** In place of `runFederated`, which it gives the same as. */
  readonly federate?: (options: FederatedOptions) => Promise<FederatedRun>;
  readonly engine: EngineTrainer;
  readonly signal: AbortSignal;
  readonly onRound?: (round: RoundOutcome) => void;
  /** Told how many of {@link workOf} units more are done. */
  readonly onWork?: (units: number, detail: string) => void;
}

/** Evaluating an example costs about a third of training on it. */
const EVALUATION_SHARE = 1 / 3;

/** Examples to train on, and to evaluate at their share: for a display of progress. */
export function workOf({ plan, sites, heldOut }: Federation, kind: Kind): number {
  const all = sites.map(virtualSite);
  const training = (trained: readonly VirtualSite[]): number =>
    trained.reduce((steps, { examples }) => steps + stepsOfSite(plan, examples.length), 0) *
    plan.federation.rounds *
    plan.training.batchSize;
  const evaluation = heldOut.length * EVALUATION_SHARE;
  const trained = { base: [], local: all, centralised: [pooled(all)], federated: all }[kind];
  const copies = kind === 'federated' && plan.personal !== undefined ? sites.length : 0;
  const measured =
    copies + (kind === 'local' || (kind === 'federated' && isPersonal(plan)) ? sites.length : 1);
  return training(trained) + measured * evaluation;
}

/** Trains and measures. Returns the adapter too where the kind has one of its own. */
export async function runCombination(
  options: CombinationOptions,
): Promise<{ readonly result: CombinationResult; readonly adapter: NamedTensors | null }> {
  const { federation, kind, engine, signal, onWork = () => undefined } = options;
  const { plan, sites, heldOut, start } = federation;
  const began = performance.now();
  const members: Outcome[][] = [];
  const personal: Outcome[][] = [];
  let trained: Awaited<ReturnType<typeof runFederated>> | null = null;
  let adapter: NamedTensors | null = null;

  async function assess(tensors: NamedTensors | null, name: string, into = members): Promise<void> {
    let seen = 0;
    const report = ({ done }: { done: number }): void => {
      onWork((done - seen) * EVALUATION_SHARE, `held-out rows, ${name}`);
      seen = done;
    };
    const reference = referenceOf(plan, start);
    const lend = engine.lend.bind(engine);
    into.push(await measure({ plan, lend, adapter: tensors, reference, heldOut }, { signal, report }));
  }
  const alone = (site: Parameters<typeof trainAlone>[0]['site']): Promise<NamedTensors> =>
    trainAlone({
      plan,
      site,
      trainer: engine,
      start,
      signal,
      onStep: () => onWork(plan.training.batchSize, `${site.name} alone`),
    });

  if (kind === 'base') await assess(plan.adapter.start === undefined ? null : start, 'base model');
  if (kind === 'local') {
    for (const site of sites) await assess(await alone(virtualSite(site)), `${site.name} alone`);
  }
  if (kind === 'centralised') {
    adapter = await alone(pooled(sites.map(virtualSite)));
    await assess(adapter, 'centralised model');
  }
  if (kind === 'federated') {
    trained = await inFolder((blobs) =>
      (options.federate ?? runFederated)({
        plan,
        sites: sites.map(virtualSite),
        trainer: engine,
        blobs,
        start,
        strategy: options.strategy,
        signal,
        onRound: options.onRound,
        onStep: ({ round }) =>
          onWork(plan.training.batchSize, `round ${round + 1} of ${plan.federation.rounds}`),
      }),
    );
    if (trained.atSites === null) {
      adapter = trained.adapter;
      await assess(adapter, 'federated model');
    }
    for (const [name, own] of trained.atSites ?? []) await assess(own, `federated model of ${name}`);
    for (const site of sites.map(virtualSite)) {
      const base = trained.atSites?.get(site.name) ?? trained.adapter;
      const own = await trainOwn({ plan, site, trainer: engine, base, signal });
      if (own !== null) await assess(own, `own copy of ${site.name}`, personal);
    }
  }
  const result = {
    rounds: [...(trained?.rounds ?? [])],
    cohortRounds: Object.fromEntries(trained?.cohortRounds ?? []),
    members,
    ...(personal.length > 0 && { personal }),
    seconds: (performance.now() - began) / 1000,
  };
  return { result, adapter };
}

/** Works with a blob store that is removed afterwards. */
async function inFolder<T>(
  work: (blobs: Awaited<ReturnType<typeof openBlobStore>>) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-simulation-'));
  try {
    return await work(await openBlobStore(folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
