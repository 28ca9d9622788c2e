/** @file The model's answer to a conversation. */

import type { Engine } from '../engine/engine.ts';
import { sampler } from '../engine/sampling.ts';
import type { OpenModel } from '../model/open.ts';
import { Random } from '../random.ts';
import { modelTemplate, tooLong } from './model-text.ts';
import type { Observer } from './observer.ts';
import type { GenerateRequest, GenerateResult } from './requests.ts';
import { TextStream } from './text-stream.ts';
import { engineAdapter, type TrainedAdapter } from './trained-adapter.ts';
import { tokenizePrompt } from './tokens.ts';

/**
 * The answer, up to the model's longest context; `report` receives the text piece by piece.
 * @throws TributaryError `model.context-length` when the prompt alone is longer
 */
export async function generate(
  { model, engine, adapter }: { model: OpenModel; engine: Engine; adapter: TrainedAdapter | null },
  request: GenerateRequest,
  observer: Observer<{ delta: string }>,
): Promise<GenerateResult> {
  const { tokenizer } = model;
  const prompt = request.tokens ?? promptOf(model, request);
  if (prompt.length >= model.configuration.maximumPositions) {
    throw tooLong(model, `The prompt has ${prompt.length} tokens`);
  }
  const stream = new TextStream(tokenizer, request.stop);
  let text = '';
  const tell = (delta: string) => {
    text += delta;
    if (delta !== '') observer.report?.({ delta });
  };
  const started = performance.now();
  let first = started;
  let processor = process.cpuUsage();
  let tokens = 0;
  // The engine ends by itself where the context does.
  let finish: GenerateResult['finish'] = 'context';
  const continuation = engine.generate({
    prompt,
    adapter: engineAdapter(adapter),
    choose: sampler(request, prompt, new Random('generate', request.seed)),
    exact: request.exact ?? false,
  });
  for await (const token of continuation) {
    if (tokens === 0) {
      first = performance.now();
      processor = process.cpuUsage();
    }
    const ended = token === tokenizer.endOfSequence.id && request.throughEnd !== true;
    if (!ended) {
      tokens++;
      tell(stream.push(token));
    }
    if (ended || stream.stopped) finish = 'stop';
    else if (tokens >= request.maxTokens) finish = 'length';
    else if (observer.signal?.aborted) finish = 'stopped';
    else continue;
    break;
  }
  const seconds = (performance.now() - first) / 1000;
  const { user, system } = process.cpuUsage(processor);
  const later = Math.max(1, tokens - 1);
  tell(stream.end());
  return {
    text,
    tokens,
    promptTokens: prompt.length,
    finish,
    tokensPerSecond: tokens > 1 ? later / seconds : 0,
    processorSecondsPerToken: (user + system) / 1e6 / later,
    secondsToFirstToken: (first - started) / 1000,
  };
}

function promptOf(model: OpenModel, { template, messages }: GenerateRequest): number[] {
  return tokenizePrompt(modelTemplate(model, template).prompt(messages), model.tokenizer);
}
