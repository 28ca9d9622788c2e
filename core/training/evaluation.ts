/** @file The loss of a model, with its adapter if it has one, on examples. */

import type { Engine } from '../engine/engine.ts';
import type { OpenModel } from '../model/open.ts';
import { modelText } from './model-text.ts';
import { stopIfAborted, type Observer } from './observer.ts';
import { packBatch } from './packing.ts';
import type { EvaluateRequest, EvaluateResult } from './requests.ts';
import { engineAdapter, type TrainedAdapter } from './trained-adapter.ts';
import { allTruncated, tokenizeText } from './tokens.ts';

/**
 * Loss on examples, computed in batches of like length.
 * @throws TributaryError `data.all-truncated`, `model.context-length`, `training.stopped` when the signal aborts
 */
export async function evaluate(
  { model, engine, adapter }: { model: OpenModel; engine: Engine; adapter: TrainedAdapter | null },
  request: EvaluateRequest,
  observer: Observer<{ done: number; total: number }>,
): Promise<EvaluateResult> {
  const { template, tokenizer, maxLength } = modelText(model, request);
  const kept = request.examples.flatMap((example, index) => {
    const tokens = tokenizeText(template.render(example), tokenizer, maxLength);
    return tokens ? [{ index, tokens }] : [];
  });
  if (kept.length === 0) throw allTruncated(request.examples.length, maxLength);
  kept.sort((a, b) => a.tokens.ids.length - b.tokens.ids.length || a.index - b.index);
  const examples: { index: number; loss: number; tokens: number }[] = [];
  for (let start = 0; start < kept.length; start += request.batchSize) {
    stopIfAborted(observer.signal);
    const members = kept.slice(start, start + request.batchSize);
    const batch = packBatch(
      members.map(({ tokens }) => tokens),
      { filler: tokenizer.padding },
    );
    const { tokenLosses } = await engine.loss(batch, engineAdapter(adapter));
    let at = 0;
    for (const { index, tokens } of members) {
      const own = tokenLosses.subarray(at, (at += tokens.supervisedTokens));
      examples.push({ index, loss: own.reduce((sum, value) => sum + value, 0), tokens: own.length });
    }
    observer.report?.({ done: examples.length, total: kept.length });
  }
  examples.sort((a, b) => a.index - b.index);
  const supervisedTokens = examples.reduce((sum, { tokens }) => sum + tokens, 0);
  const loss = examples.reduce((sum, example) => sum + example.loss, 0) / supervisedTokens;
  const skipped = request.examples.length - kept.length;
  return { loss, perplexity: Math.exp(loss), supervisedTokens, skipped, examples };
}
