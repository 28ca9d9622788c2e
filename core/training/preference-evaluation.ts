/** @file How well a model with its adapter tells preferred answers from others, against a reference. */

import type { Engine } from '../engine/engine.ts';
import { logProbabilities } from '../engine/preference.ts';
import type { OpenModel } from '../model/open.ts';
import { examplesFor } from './examples.ts';
import { modelText } from './model-text.ts';
import { packPairs } from './objectives/dpo.ts';
import { stopIfAborted, type Observer } from './observer.ts';
import { measurePair, pairLoss, PREFERENCE_DEFAULTS } from './preference.ts';
import { tokenizePreferences, type PreferenceTokens } from './preference-tokens.ts';
import type { AnswerScores } from './reference-cache.ts';
import type { Reference } from './reference.ts';
import type { PairResult, PreferenceRequest, PreferenceResult } from './requests.ts';
import { engineAdapter, type TrainedAdapter } from './trained-adapter.ts';

interface Parts {
  readonly model: OpenModel;
  readonly engine: Engine;
  readonly adapter: TrainedAdapter | null;
  readonly reference: Reference;
}

/**
 * Rewards of pairs, computed in batches of like length. Where neither policy nor reference has an adapter they are
 * one and the same, and every pair is a tie.
 * @throws TributaryError `data.all-truncated`, `model.context-length`, `training.stopped` when the signal aborts
 */
export async function evaluatePreferences(
  parts: Parts,
  request: PreferenceRequest,
  observer: Observer<{ done: number; total: number }>,
): Promise<PreferenceResult> {
  const { model, reference } = parts;
  const options = { ...PREFERENCE_DEFAULTS, ...request.dpo };
  const examples = examplesFor('dpo', request.examples);
  const text = { ...modelText(model, request), maxPromptLength: options.maxPromptLength };
  const kept = tokenizePreferences(examples, text);
  const length = ({ chosen, rejected }: PreferenceTokens) => chosen.ids.length + rejected.supervisedTokens;
  kept.sort((a, b) => length(a.tokens) - length(b.tokens) || a.index - b.index);
  const results: PairResult[] = [];
  for (let start = 0; start < kept.length; start += request.batchSize) {
    stopIfAborted(observer.signal);
    const members = kept.slice(start, start + request.batchSize);
    const references: AnswerScores[] = [];
    for (const { tokens } of members) references.push(await reference.score(tokens));
    const policies = await policyScores(
      parts,
      members.map(({ tokens }) => tokens),
      references,
    );
    for (const [at, { index, tokens }] of members.entries()) {
      const { margin } = measurePair(policies[at], references[at], options.beta);
      const chosenTokens = tokens.chosen.supervisedTokens;
      results.push({ index, margin, policy: policies[at], reference: references[at], chosenTokens });
    }
    observer.report?.({ done: results.length, total: kept.length });
  }
  results.sort((a, b) => a.index - b.index);
  const mean = (value: (result: PairResult) => number) =>
    results.reduce((sum, result) => sum + value(result), 0) / results.length;
  return {
    loss: mean(({ margin }) => pairLoss(margin, options)),
    accuracy: mean(({ policy, reference }) => measurePair(policy, reference, options.beta).accuracy),
    margin: mean(({ margin }) => margin),
    skipped: examples.length - kept.length,
    examples: results,
  };
}

async function policyScores(
  { model, engine, adapter, reference }: Parts,
  pairs: readonly PreferenceTokens[],
  references: readonly AnswerScores[],
): Promise<readonly AnswerScores[]> {
  if (!adapter && !reference.adapter) return references;
  const batch = packPairs(pairs, model.tokenizer.padding);
  const { tokenLosses } = await engine.loss(batch, engineAdapter(adapter));
  const scores = logProbabilities(batch, tokenLosses);
  return pairs.map((_, pair) => ({ chosen: scores[2 * pair], rejected: scores[2 * pair + 1] }));
}
