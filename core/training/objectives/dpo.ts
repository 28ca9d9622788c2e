/** @file Direct preference optimisation (Rafailov et al., 2023) and IPO (Azar et al., 2023): the mean loss of pairs. */

import type { Engine } from '../../engine/engine.ts';
import type { OpenModel } from '../../model/open.ts';
import { sampleRound } from '../batches.ts';
import { divideStep } from '../division.ts';
import { examplesFor } from '../examples.ts';
import { modelText } from '../model-text.ts';
import { packBatch, type TokenBatch } from '../packing.ts';
import { measurePair, PREFERENCE_DEFAULTS, sumMetrics } from '../preference.ts';
import { tokenizePreferences, type PreferenceTokens } from '../preference-tokens.ts';
import type { Reference } from '../reference.ts';
import type { TrainRequest } from '../requests.ts';
import type { TrainedAdapter } from '../trained-adapter.ts';
import type { TokenExample } from '../tokens.ts';
import type { Objective } from './objective.ts';

/** Both answers of each pair side by side; a pair's prompt is computed once. */
export interface PairBatch extends TokenBatch {
  readonly pairs: readonly PreferenceTokens[];
}

/** Lays pairs out as examples 2·p, the chosen answer, and 2·p + 1, the rejected one. */
export function packPairs(pairs: readonly PreferenceTokens[], filler: number): PairBatch {
  return { ...packBatch(pairs.flatMap(answersOf), { filler }), pairs };
}

function answersOf({ chosen, rejected }: PreferenceTokens): readonly TokenExample[] {
  return [chosen, rejected];
}

/**
 * Batches hold whole pairs. Dropout has no place here: policy and reference are compared in log-probabilities.
 * @throws TributaryError `data.all-truncated`, `model.context-length`, `template.none`
 */
export function dpoObjective(
  {
    model,
    engine,
    adapter,
    reference,
  }: { model: OpenModel; engine: Engine; adapter: TrainedAdapter; reference: Reference },
  request: TrainRequest,
): Objective<PairBatch> {
  const options = { ...PREFERENCE_DEFAULTS, ...request.dpo };
  const examples = examplesFor('dpo', request.examples);
  const text = { ...modelText(model, request), maxPromptLength: options.maxPromptLength };
  const kept = tokenizePreferences(examples, text);
  const drawn = sampleRound({ ...request, examples: kept.map(({ tokens }) => tokens) });
  return {
    steps: drawn.length,
    skipped: examples.length - kept.length,
    batches(step) {
      const parts = divideStep(drawn[step], answersOf, request.microBatchSize);
      return parts.map((pairs) => packPairs(pairs, model.tokenizer.padding));
    },
    size: ({ pairs }) => pairs.length,
    halve({ pairs }) {
      const middle = Math.ceil(pairs.length / 2);
      const { padding } = model.tokenizer;
      return [packPairs(pairs.slice(0, middle), padding), packPairs(pairs.slice(middle), padding)];
    },
    weight: ({ pairs }) => pairs.length,
    async compute(batch, gradients, share) {
      const references = [];
      for (const pair of batch.pairs) references.push(await reference.score(pair));
      const { loss, logProbabilities } = await engine.preferenceGradients(
        { batch, reference: references.map(({ chosen, rejected }) => chosen - rejected), share },
        {
          configuration: adapter.configuration,
          parameters: adapter.parameters.tensors,
          gradients,
          objective: options,
        },
      );
      const measured = references.map((score, pair) => {
        const [chosen, rejected] = logProbabilities.subarray(2 * pair);
        return measurePair({ chosen, rejected }, score, options.beta);
      });
      return { loss, preference: sumMetrics(measured, share) };
    },
  };
}
