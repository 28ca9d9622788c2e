/** @file Supervised fine-tuning: the mean negative log-likelihood of all supervised tokens of a step. */

import type { Engine } from '../../engine/engine.ts';
import type { OpenModel } from '../../model/open.ts';
import { sampleRound } from '../batches.ts';
import { examplesFor } from '../examples.ts';
import { modelText } from '../model-text.ts';
import { packBatch, type TokenBatch } from '../packing.ts';
import type { TrainRequest } from '../requests.ts';
import type { TrainedAdapter } from '../trained-adapter.ts';
import { tokenizeExamples } from '../tokens.ts';
import type { Objective } from './objective.ts';

/** @throws TributaryError `data.all-truncated`, `model.context-length`, `template.none` */
export function sftObjective(
  { model, engine, adapter }: { model: OpenModel; engine: Engine; adapter: TrainedAdapter },
  request: TrainRequest,
): Objective<TokenBatch> {
  const { examples, skipped } = request.tokens
    ? { examples: request.tokens, skipped: 0 }
    : tokenizeExamples(examplesFor('sft', request.examples), modelText(model, request));
  const drawn = sampleRound({ ...request, examples });
  const size = request.microBatchSize ?? request.batchSize;
  return {
    steps: drawn.length,
    skipped,
    batches(step) {
      const members = drawn[step];
      const parts: TokenBatch[] = [];
      for (let start = 0; start < members.length; start += size) {
        parts.push(packBatch(members.slice(start, start + size), { filler: model.tokenizer.padding }));
      }
      return parts;
    },
    weight: ({ supervisedTokens }) => supervisedTokens,
    async compute(batch, gradients, share) {
      const trained = {
        configuration: adapter.configuration,
        parameters: adapter.parameters.tensors,
        gradients,
      };
      return { loss: await engine.lossAndGradients(batch, trained, share) };
    },
  };
}
