/** @file The model's answer to a conversation. */

import type { Engine } from '../engine/engine.ts';
import { sample } from '../engine/sampling.ts';
import type { OpenModel } from '../model/open.ts';
import { Random } from '../random.ts';
import { modelTemplate, tooLong } from './model-text.ts';
import type { Observer } from './observer.ts';
import type { GenerateRequest, GenerateResult } from './requests.ts';
import { engineAdapter, type TrainedAdapter } from './trained-adapter.ts';
import { tokenizePrompt } from './tokens.ts';

/**
 * The answer, up to the model's longest context; `report` receives the text as it grows.
 * @throws TributaryError `model.context-length` when the prompt alone is longer
 */
export async function generate(
  { model, engine, adapter }: { model: OpenModel; engine: Engine; adapter: TrainedAdapter | null },
  request: GenerateRequest,
  observer: Observer<{ text: string }>,
): Promise<GenerateResult> {
  const { tokenizer } = model;
  const prompt = modelTemplate(model, request.template).prompt(request.messages);
  const ids = tokenizePrompt(prompt, tokenizer);
  const positions = model.configuration.maximumPositions;
  if (ids.length >= positions) throw tooLong(model, `The prompt has ${ids.length} tokens`);
  const random = new Random('generate', request.seed);
  const started = performance.now();
  let first = started;
  const generated: number[] = [];
  const choose = (logits: Float32Array) => sample(logits, request, random);
  for await (const token of engine.generate(ids, engineAdapter(adapter), choose)) {
    if (generated.length === 0) first = performance.now();
    if (token === tokenizer.endOfSequence.id) break;
    generated.push(token);
    observer.report?.({ text: tokenizer.decode(generated, { skipSpecial: true }) });
    if (generated.length >= request.maxTokens || ids.length + generated.length >= positions) break;
    if (observer.signal?.aborted) break;
  }
  const seconds = (performance.now() - first) / 1000;
  return {
    text: tokenizer.decode(generated, { skipSpecial: true }),
    tokens: generated.length,
    tokensPerSecond: generated.length > 1 ? (generated.length - 1) / seconds : 0,
    secondsToFirstToken: (first - started) / 1000,
  };
}
