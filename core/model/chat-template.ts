/** @file A model's own chat template: a Jinja program that turns messages into the text the model was trained on. */

import { Template } from '@huggingface/jinja';
import { TributaryError } from '../errors.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatTemplate {
  /**
   * The text of a conversation; `generationPrompt` appends the opening of the assistant's turn. Encode it with
   * `special: true`.
   * @throws TributaryError `model.chat-template` where the template refuses the messages
   */
  render(messages: readonly ChatMessage[], options: { generationPrompt: boolean }): string;
}

/**
 * @param source the Jinja text
 * @param tokens texts that templates use as `bos_token` and `eos_token`
 * @throws TributaryError `model.chat-template` where the source is not a template
 */
export function createChatTemplate(
  source: string,
  tokens: { beginningOfSequence: string; endOfSequence: string },
): ChatTemplate {
  let template: Template;
  try {
    template = new Template(source);
  } catch (cause) {
    throw failure('The chat template of the model cannot be read', cause);
  }
  return {
    render: (messages, options) => {
      try {
        return template.render({
          messages,
          add_generation_prompt: options.generationPrompt,
          bos_token: tokens.beginningOfSequence,
          eos_token: tokens.endOfSequence,
        });
      } catch (cause) {
        throw failure('The chat template of the model does not accept these messages', cause);
      }
    },
  };
}

function failure(what: string, cause: unknown): TributaryError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TributaryError('model.chat-template', `${what}: ${reason}.`, { cause });
}
