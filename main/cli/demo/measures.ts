/** @file What the demonstration measures of a model on held-out rows, for conversations and for pairs. */

import type { PlanRequest } from '../../../core/federation/plan.ts';
import type { TrainerProcess } from '../../../core/training/client.ts';
import { examplesFor } from '../../../core/training/examples.ts';
import type { Observer } from '../../../core/training/observer.ts';
import type { Institutions } from './institutions.ts';

/** Means over held-out rows. */
export interface Measured {
  /** Of the objective: per supervised token for conversations, per pair for pairs. */
  readonly loss: number;
  /** Negative log-likelihood per token of the answers, of pairs of the chosen ones. */
  readonly tokenLoss: number;
  readonly preference?: PreferenceScore;
}

/** How well chosen answers of pairs are told from rejected ones. */
export interface PreferenceScore {
  /**
   * Share of the pairs whose chosen answer has the larger implicit reward, β · (log π − log π of the reference). A
   * tie counts one half; the base model, which is the reference, ties everywhere.
   */
  readonly accuracy: number;
  /** Reward of the chosen answer less that of the rejected one. */
  readonly margin: number;
  /** Share of the pairs whose chosen answer is the likelier one under the model itself, log π of whole answers. */
  readonly likelihoodAccuracy: number;
}

export interface Score extends Partial<PreferenceScore> {
  readonly loss: number;
  readonly perplexity: number;
}

const EVALUATION_BATCH = 8;

/** Measures the model that the trainer holds, with its adapter if it has one. */
export async function measure(
  trainer: TrainerProcess,
  {
    training,
    objective,
    heldOut,
  }: Pick<PlanRequest, 'training' | 'objective'> & Pick<Institutions, 'heldOut'>,
  observer: Observer<{ done: number; total: number }>,
): Promise<Measured> {
  const settings = { ...training, batchSize: EVALUATION_BATCH };
  if (objective === 'sft') {
    const request = { ...settings, examples: examplesFor('sft', heldOut) };
    const { loss } = await trainer.call('evaluate', request, observer);
    return { loss, tokenLoss: loss };
  }
  const request = { ...settings, examples: examplesFor('dpo', heldOut) };
  const { loss, accuracy, margin, examples } = await trainer.call('evaluatePreferences', request, observer);
  const likelier = examples.filter(({ policy }) => policy.chosen > policy.rejected).length;
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return {
    loss,
    tokenLoss:
      -sum(examples.map(({ policy }) => policy.chosen)) /
      sum(examples.map(({ chosenTokens }) => chosenTokens)),
    preference: { accuracy, margin, likelihoodAccuracy: likelier / examples.length },
  };
}

/** The mean over models. */
export function meanOf(models: readonly Measured[]): Measured {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const preferences = models.flatMap(({ preference }) => (preference ? [preference] : []));
  return {
    loss: mean(models.map(({ loss }) => loss)),
    tokenLoss: mean(models.map(({ tokenLoss }) => tokenLoss)),
    ...(preferences.length > 0 && {
      preference: {
        accuracy: mean(preferences.map(({ accuracy }) => accuracy)),
        margin: mean(preferences.map(({ margin }) => margin)),
        likelihoodAccuracy: mean(preferences.map(({ likelihoodAccuracy }) => likelihoodAccuracy)),
      },
    }),
  };
}

export function scoreOf({ loss, tokenLoss, preference }: Measured): Score {
  return { loss, perplexity: Math.exp(tokenLoss), ...preference };
}
