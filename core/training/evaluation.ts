/** @file The loss of a model, with its adapter if it has one, on examples. */

import type { Engine } from '../engine/engine.ts';
import type { OpenModel } from '../model/open.ts';
import { modelText } from './model-text.ts';
import { stopIfAborted, type Observer } from './observer.ts';
import { packBatch } from './packing.ts';
import type { EvaluateRequest, EvaluateResult } from './requests.ts';
import { engineAdapter, type TrainedAdapter } from './trained-adapter.ts';
import { allTruncated, tokenizeText } from './tokens.ts';
import { usable } from './usable.ts';

/**
 * Loss on examples, computed in batches of like length, each packed into as many places as `batchSize` of the longest
 * examples take.
 * @throws TributaryError `data.all-truncated`, `model.context-length`, `training.stopped` when the signal aborts
 */
export async function evaluate(
  { model, engine, adapter }: { model: OpenModel; engine: Engine; adapter: TrainedAdapter | null },
  request: EvaluateRequest,
  observer: Observer<{ done: number; total: number }>,
): Promise<EvaluateResult> {
  const { template, tokenizer, maxLength } = modelText(model, request);
  const kept = usable(request.examples, (example) =>
    tokenizeText(template.render(example), tokenizer, maxLength),
  );
  if (kept.length === 0) throw allTruncated(request.examples.length, maxLength);
  kept.sort((a, b) => a.tokens.ids.length - b.tokens.ids.length || a.index - b.index);
  const examples: { index: number; loss: number; tokens: number }[] = [];
  const places = request.batchSize * kept[kept.length - 1].tokens.ids.length;
  for (let end = 0; end < kept.length;) {
    stopIfAborted(observer.signal);
    const start = end;
    for (let left = places; end < kept.length && kept[end].tokens.ids.length <= left; end++) {
      left -= kept[end].tokens.ids.length;
    }
    const members = kept.slice(start, end);
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
