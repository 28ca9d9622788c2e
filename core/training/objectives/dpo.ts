/** @file Direct preference optimisation (Rafailov et al., 2023) and IPO (Azar et al., 2023): the mean loss of pairs. */

import type { Engine } from '../../engine/engine.ts';
import type { OpenModel } from '../../model/open.ts';
import { sampleRound } from '../batches.ts';
import { examplesFor } from '../examples.ts';
import { modelText } from '../model-text.ts';
import { packBatch, type TokenBatch } from '../packing.ts';
import { measurePair, PREFERENCE_DEFAULTS, sumMetrics } from '../preference.ts';
import { tokenizePreferences, type PreferenceTokens } from '../preference-tokens.ts';
import type { Reference } from '../reference.ts';
import type { TrainRequest } from '../requests.ts';
import type { TrainedAdapter } from '../trained-adapter.ts';
import { allTruncated } from '../tokens.ts';
import type { Objective } from './objective.ts';

/** Both answers of each pair side by side; a pair's prompt is computed once. */
export interface PairBatch extends TokenBatch {
  readonly pairs: readonly PreferenceTokens[];
}

/** Lays pairs out as examples 2·p, the chosen answer, and 2·p + 1, the rejected one. */
export function packPairs(pairs: readonly PreferenceTokens[], filler: number): PairBatch {
  const answers = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  return { ...packBatch(answers, { filler }), pairs };
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
  if (kept.length === 0) throw allTruncated(examples.length, request.maxLength);
  const items = kept.map(({ tokens: pair }) => ({
    pair,
    ids: { length: pair.chosen.ids.length + pair.rejected.supervisedTokens },
  }));
  const drawn = sampleRound({ ...request, examples: items });
  const size = request.microBatchSize ?? request.batchSize;
  return {
    steps: drawn.length,
    skipped: examples.length - kept.length,
    batches(step) {
      const pairs = drawn[step].map(({ pair }) => pair);
      const parts: PairBatch[] = [];
      for (let start = 0; start < pairs.length; start += size) {
        parts.push(packPairs(pairs.slice(start, start + size), model.tokenizer.padding));
      }
      return parts;
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
