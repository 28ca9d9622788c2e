/** @file Evaluation on a file of pairs: how often, and by how much, the preferred answer is ahead. */

import { readJsonLines } from '../jsonl.ts';
import { readJsonl, type PreferenceExample } from '../training/examples.ts';
import {
  measurePair,
  pairLoss,
  PREFERENCE_DEFAULTS,
  type PreferenceOptions,
} from '../training/preference.ts';
import type { PairResult, PreferenceResult, TextOptions } from '../training/requests.ts';
import { metric, type EvaluationReport, type FileEvaluation } from './file.ts';
import { meanInterval } from './metrics/interval.ts';

/** Measures pairs: a trainer, in this process or another. */
export type EvaluatePreferences = (
  request: TextOptions & {
    examples: readonly PreferenceExample[];
    batchSize: number;
    dpo: PreferenceOptions;
  },
) => Promise<PreferenceResult>;

/** Whether the first row that can be read is a pair of answers. */
export async function holdsPreferences(file: string): Promise<boolean> {
  for await (const line of readJsonLines(file)) {
    if ('record' in line) return 'chosen' in line.record || 'rejected' in line.record;
  }
  return false;
}

/**
 * Means over pairs: `accuracy`, the share whose chosen answer has the larger implicit reward (a tie counts one half);
 * `margin` of the rewards; `loss`; and `likelihoodAccuracy`, the share whose chosen answer is the likelier one for the
 * model itself, without a reference.
 * @throws TributaryError `data.broken-line`, `data.empty`, `data.all-truncated`
 */
export async function evaluatePreferenceFile(
  options: FileEvaluation & { readonly dpo?: Partial<PreferenceOptions> },
  evaluate: EvaluatePreferences,
): Promise<EvaluationReport> {
  const { file, skipBad, ...request } = options;
  const dpo = { ...PREFERENCE_DEFAULTS, ...request.dpo };
  const { examples, skipped } = await readJsonl(file, { objective: 'dpo', skipBad });
  const result = await evaluate({ ...request, examples, dpo });
  const values = result.examples.map((pair) => pairValues(pair, dpo));
  const over = (name: PairValue) => metric(meanInterval(values.map((pair) => pair[name])));
  return {
    n: result.examples.length,
    skipped: skipped.length + result.skipped,
    metrics: {
      accuracy: over('accuracy'),
      margin: over('margin'),
      loss: over('loss'),
      likelihoodAccuracy: over('likelihoodAccuracy'),
    },
  };
}

export type PairValue = 'accuracy' | 'margin' | 'loss' | 'likelihoodAccuracy';

/** What a pair adds to each of the means. */
export function pairValues(
  { policy, reference, margin }: PairResult,
  dpo: PreferenceOptions,
): Record<PairValue, number> {
  return {
    accuracy: measurePair(policy, reference, dpo.beta).accuracy,
    margin,
    loss: pairLoss(margin, dpo),
    likelihoodAccuracy: (Math.sign(policy.chosen - policy.rejected) + 1) / 2,
  };
}
