/** @file Supervised fine-tuning: the mean negative log-likelihood of all supervised tokens of a step. */

import type { DropoutDraw } from '../../engine/dropout.ts';
import type { Engine } from '../../engine/engine.ts';
import type { OpenModel } from '../../model/open.ts';
import { sampleRound } from '../batches.ts';
import { divideStep } from '../division.ts';
import { examplesFor } from '../examples.ts';
import { modelText } from '../model-text.ts';
import { packBatch, type TokenBatch } from '../packing.ts';
import type { TrainRequest } from '../requests.ts';
import type { TrainedAdapter } from '../trained-adapter.ts';
import { tokenizeExamples, type TokenExample } from '../tokens.ts';
import type { Objective } from './objective.ts';

/** A batch and what decides which inputs of the adapter it drops. */
export interface DrawnBatch extends TokenBatch {
  readonly dropout: DropoutDraw;
  /** What is packed in it. */
  readonly texts: readonly TokenExample[];
}

/**
 * @param parts.adapter null: the model's own weights are trained
 * @throws TributaryError `data.all-truncated`, `model.context-length`, `template.none`
 */
export function sftObjective(
  { model, engine, adapter }: { model: OpenModel; engine: Engine; adapter: TrainedAdapter | null },
  request: TrainRequest,
): Objective<DrawnBatch> {
  const { examples, skipped } = request.tokens
    ? { examples: request.tokens, skipped: 0 }
    : tokenizeExamples(examplesFor('sft', request.examples), modelText(model, request));
  const drawn = sampleRound({ ...request, examples });
  const draw = (texts: readonly TokenExample[], step: readonly number[]): DrawnBatch => ({
    ...packBatch(texts, { filler: model.tokenizer.padding }),
    dropout: { seed: request.seedParts, step },
    texts,
  });
  return {
    steps: drawn.length,
    skipped,
    batches(step) {
      const parts = divideStep(drawn[step], (example) => [example], request.microBatchSize);
      return parts.map((part, index) => draw(part, [step, index]));
    },
    size: ({ texts }) => texts.length,
    halve({ texts, dropout }) {
      const middle = Math.ceil(texts.length / 2);
      return [
        draw(texts.slice(0, middle), [...dropout.step, 0]),
        draw(texts.slice(middle), [...dropout.step, 1]),
      ];
    },
    weight: ({ supervisedTokens }) => supervisedTokens,
    async compute(batch, gradients, share) {
      if (!adapter) return { loss: await engine.weightGradients(batch, gradients, share) };
      const trained = {
        configuration: adapter.configuration,
        parameters: adapter.parameters.tensors,
        gradients,
        dropout: batch.dropout,
      };
      return { loss: await engine.lossAndGradients(batch, trained, share) };
    },
  };
}
