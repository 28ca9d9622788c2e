/** @file Templates, tokenizer and longest length of one model, as a request asks for them. */

import { TributaryError } from '../errors.ts';
import type { OpenModel } from '../model/open.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { TextOptions } from './requests.ts';
import { makeTemplate, type Template, type TemplateName } from './templates.ts';

/** What turns examples into tokens. */
export interface ModelText {
  readonly template: Template;
  readonly tokenizer: Tokenizer;
  /** Longest example in tokens. */
  readonly maxLength: number;
}

/** @throws TributaryError `model.context-length` when examples may become longer than the model takes */
export function modelText(model: OpenModel, { template, maxLength }: TextOptions): ModelText {
  if (maxLength > model.configuration.maximumPositions) {
    throw tooLong(model, `The longest length is to be ${maxLength} tokens`);
  }
  return { template: modelTemplate(model, template), tokenizer: model.tokenizer, maxLength };
}

/** A template with the model's own chat template and end token; `template.none` where `chat` finds none. */
export function modelTemplate(
  { chatTemplate, tokenizer, identity }: OpenModel,
  name: TemplateName,
): Template {
  const renderChat: NonNullable<typeof chatTemplate>['render'] = (messages, options) => {
    if (chatTemplate) return chatTemplate.render(messages, options);
    throw new TributaryError('template.none', `The model ${identity.id} brings no chat template.`);
  };
  return makeTemplate(name, { renderChat, endOfSequence: tokenizer.endOfSequence.text });
}

/** The error of a text beyond what the model takes; `what` is the beginning of its sentence. */
export function tooLong({ identity, configuration }: OpenModel, what: string): TributaryError {
  const limit = `${identity.id} takes ${configuration.maximumPositions} at most`;
  return new TributaryError('model.context-length', `${what}, but ${limit}.`);
}
