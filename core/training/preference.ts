/** @file What pairs of answers are measured by: rewards, margins, accuracy and loss. */

import type { PreferenceLoss } from '../engine/graphs/preference.ts';
import type { AnswerScores } from './reference-cache.ts';

/** How a preference training weighs pairs, and how long their prompts may be. */
export interface PreferenceOptions extends PreferenceLoss {
  /** See `tokenizePreference`. */
  readonly maxPromptLength?: number;
}

export const PREFERENCE_DEFAULTS: PreferenceOptions = { beta: 0.1, labelSmoothing: 0, loss: 'sigmoid' };

/** Means over pairs. */
export interface PreferenceMetrics {
  /** Share of the pairs whose chosen answer has the larger reward; a tie counts one half. */
  readonly accuracy: number;
  /** Reward of the chosen answer minus that of the rejected one. */
  readonly margin: number;
  /** β · (log π − log π of the reference): the implicit reward (Rafailov et al., 2023). */
  readonly chosenReward: number;
  readonly rejectedReward: number;
}

/** Σ share · metrics */
export function sumMetrics(parts: readonly PreferenceMetrics[], share = 1): PreferenceMetrics {
  const sum = (key: keyof PreferenceMetrics) => parts.reduce((total, part) => total + part[key], 0) * share;
  return {
    accuracy: sum('accuracy'),
    margin: sum('margin'),
    chosenReward: sum('chosenReward'),
    rejectedReward: sum('rejectedReward'),
  };
}

/** The measures of one pair. */
export function measurePair(policy: AnswerScores, reference: AnswerScores, beta: number): PreferenceMetrics {
  const chosenReward = beta * (policy.chosen - reference.chosen);
  const rejectedReward = beta * (policy.rejected - reference.rejected);
  const margin = chosenReward - rejectedReward;
  return { accuracy: (Math.sign(margin) + 1) / 2, margin, chosenReward, rejectedReward };
}

/** The loss of one pair as in `preferenceGraph`. */
export function pairLoss(margin: number, { beta, labelSmoothing, loss }: PreferenceLoss): number {
  if (loss === 'ipo') return (margin / beta - 1 / (2 * beta)) ** 2;
  return Math.max(-margin, 0) + Math.log1p(Math.exp(-Math.abs(margin))) + labelSmoothing * margin;
}
