/** @file The other half of the demonstration: what a site reaches alone, and how all models do on held-out rows. */

import type { PlanRequest } from '../../../core/federation/plan.ts';
import { learningRateOfRound, trainableMatrices } from '../../../core/federation/schedule.ts';
import type { TrainerProcess } from '../../../core/training/client.ts';
import type { Institution, Institutions } from './institutions.ts';
import { measure, meanOf, scoreOf, type Measured, type Score } from './measures.ts';

export interface Comparison {
  readonly base: Score;
  /** Mean over the sites of a model trained alone for the same rounds and steps. */
  readonly local: Score;
  readonly federated: Score;
}

type Settings = Pick<PlanRequest, 'adapter' | 'seed' | 'training' | 'objective'> & {
  readonly rounds: number;
};

/**
 * Trains each site alone with the run's settings, from the same initial adapter, and evaluates base, local and
 * federated models on the pooled held-out rows.
 */
export async function compare(options: {
  readonly trainer: TrainerProcess;
  readonly settings: Settings;
  readonly sites: readonly Institution[];
  readonly heldOut: Institutions['heldOut'];
  /** Folder of the federated adapter. */
  readonly adapter: string;
  readonly signal: AbortSignal;
  readonly progress: (share: number, detail: string) => void;
}): Promise<Comparison> {
  const { trainer, settings, sites, heldOut, signal, progress } = options;
  const { training, objective, rounds } = settings;
  const trainings = sites.length * rounds * training.steps;
  // Evaluating one example costs about a third of training on it.
  const evaluations = ((sites.length + 2) * heldOut.length) / training.batchSize / 3;
  let done = 0;
  const advance = (by: number, detail: string) => progress((done += by) / (trainings + evaluations), detail);

  function evaluate(detail: string): Promise<Measured> {
    let seen = 0;
    return measure(
      trainer,
      { training, objective, heldOut },
      {
        signal,
        report: (now) => {
          advance((now.done - seen) / training.batchSize / 3, detail);
          seen = now.done;
        },
      },
    );
  }

  await trainer.call('setAdapter', null);
  const base = await evaluate('held-out rows, base model');
  await trainer.call('loadAdapter', { folder: options.adapter });
  const federated = await evaluate('held-out rows, federated model');
  const local: Measured[] = [];
  for (const { name, examples } of sites) {
    await trainer.call('startAdapter', { configuration: settings.adapter, seed: settings.seed });
    for (let round = 0; round < rounds; round++) {
      const learningRate = learningRateOfRound(training, round, rounds);
      const seedParts = [settings.seed, round, name];
      const trainable = trainableMatrices(settings.adapter.variant, round);
      const request = { ...training, objective, examples, learningRate, seedParts, trainable };
      await trainer.call('train', request, { signal, report: () => advance(1, `${name} alone`) });
    }
    local.push(await evaluate(`held-out rows, ${name} alone`));
  }
  return { base: scoreOf(base), local: scoreOf(meanOf(local)), federated: scoreOf(federated) };
}
