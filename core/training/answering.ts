/** @file The model's answers to many prompts, of which what they begin with is read once. */

import type { Engine } from '../engine/engine.ts';
import { likeliest } from '../engine/sampling.ts';
import type { OpenModel } from '../model/open.ts';
import { modelTemplate } from './model-text.ts';
import { stopIfAborted, type Observer } from './observer.ts';
import type { AnswersRequest, AnswersResult, Finish } from './requests.ts';
import { TextStream } from './text-stream.ts';
import { engineAdapter, type TrainedAdapter } from './trained-adapter.ts';
import { tokenizePrompt } from './tokens.ts';

/**
 * The likeliest answer to each prompt, token by token. Keys and values of the prompt before are kept as far as the
 * next prompt begins alike, such as with the same solved examples. Prompts that leave no room for an answer are left
 * out.
 * @throws TributaryError `template.none`, `training.stopped` when the signal aborts
 */
export async function answerPrompts(
  { model, engine, adapter }: { model: OpenModel; engine: Engine; adapter: TrainedAdapter | null },
  { prompts, template: name, maxTokens, stop, maxLength = Infinity }: AnswersRequest,
  observer: Observer<{ done: number; total: number }>,
): Promise<AnswersResult> {
  const { tokenizer, configuration } = model;
  const template = name === 'none' ? null : modelTemplate(model, name);
  const longest = Math.min(maxLength, configuration.maximumPositions - 1);
  const answers: AnswersResult['answers'][number][] = [];
  const tooLong: number[] = [];
  const kept = engine.keptPrompt();
  for (const [index, prompt] of prompts.entries()) {
    stopIfAborted(observer.signal);
    const isText = typeof prompt === 'string';
    if (isText !== (template === null)) throw new Error('messages need a template, and a text none');
    const ids = tokenizePrompt(isText ? prompt : (template?.prompt(prompt) ?? ''), tokenizer);
    if (ids.length > longest) {
      tooLong.push(index);
      continue;
    }
    const stream = new TextStream(tokenizer, stop);
    let text = '';
    let tokens = 0;
    let finish: Finish = 'context';
    const continuation = engine.generate({
      prompt: ids,
      adapter: engineAdapter(adapter),
      choose: likeliest,
      kept,
    });
    for await (const token of continuation) {
      stopIfAborted(observer.signal);
      const ended = token === tokenizer.endOfSequence.id;
      if (!ended) {
        tokens++;
        text += stream.push(token);
      }
      if (ended || stream.stopped) finish = 'stop';
      else if (tokens >= maxTokens) finish = 'length';
      else continue;
      break;
    }
    answers.push({ index, text: text + stream.end(), tokens, finish });
    observer.report?.({ done: index + 1, total: prompts.length });
  }
  return { answers, tooLong };
}
