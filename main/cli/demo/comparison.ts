/** @file The other half of the demonstration: what a site reaches alone, and how all models do on held-out rows. */

import type { PlanRequest } from '../../../core/federation/plan.ts';
import { learningRateOfRound } from '../../../core/federation/schedule.ts';
import type { TrainerProcess } from '../../../core/training/client.ts';
import type { Example } from '../../../core/training/examples.ts';
import type { Institution } from './institutions.ts';

export interface Score {
  readonly loss: number;
  readonly perplexity: number;
}

export interface Comparison {
  readonly base: Score;
  /** Mean over the sites of a model trained alone for the same rounds and steps. */
  readonly local: Score;
  readonly federated: Score;
}

type Settings = Pick<PlanRequest, 'adapter' | 'seed' | 'training'> & { readonly rounds: number };

const EVALUATION_BATCH = 8;

/**
 * Trains each site alone with the run's settings, from the same initial adapter, and evaluates base, local and
 * federated models on the pooled held-out rows.
 */
export async function compare(options: {
  readonly trainer: TrainerProcess;
  readonly settings: Settings;
  readonly sites: readonly Institution[];
  readonly heldOut: readonly Example[];
  /** Folder of the federated adapter. */
  readonly adapter: string;
  readonly signal: AbortSignal;
  readonly progress: (share: number, detail: string) => void;
}): Promise<Comparison> {
  const { trainer, settings, sites, heldOut, signal, progress } = options;
  const { training, rounds } = settings;
  const trainings = sites.length * rounds * training.steps;
  // Evaluating one example costs about a third of training on it.
  const evaluations = ((sites.length + 2) * heldOut.length) / training.batchSize / 3;
  let done = 0;
  const advance = (by: number, detail: string) => progress((done += by) / (trainings + evaluations), detail);

  async function evaluate(detail: string): Promise<number> {
    let seen = 0;
    const request = { ...training, examples: heldOut, batchSize: EVALUATION_BATCH };
    const { loss } = await trainer.call('evaluate', request, {
      signal,
      report: (now) => {
        advance((now.done - seen) / training.batchSize / 3, detail);
        seen = now.done;
      },
    });
    return loss;
  }

  await trainer.call('setAdapter', null);
  const base = await evaluate('held-out rows, base model');
  await trainer.call('loadAdapter', { folder: options.adapter });
  const federated = await evaluate('held-out rows, federated model');
  const local: number[] = [];
  for (const { name, examples } of sites) {
    await trainer.call('startAdapter', { configuration: settings.adapter, seed: settings.seed });
    for (let round = 0; round < rounds; round++) {
      const learningRate = learningRateOfRound(training, round, rounds);
      const request = { ...training, examples, learningRate, seedParts: [settings.seed, round, name] };
      await trainer.call('train', request, { signal, report: () => advance(1, `${name} alone`) });
    }
    local.push(await evaluate(`held-out rows, ${name} alone`));
  }
  const mean = local.reduce((sum, loss) => sum + loss, 0) / local.length;
  return { base: score(base), local: score(mean), federated: score(federated) };
}

function score(loss: number): Score {
  return { loss, perplexity: Math.exp(loss) };
}
