/** @file Templates: how an example becomes one text, and which of its characters are supervised. */

import { TributaryError } from '../errors.ts';
import type { ChatTemplate } from '../model/chat-template.ts';
import type { Example, Message } from './examples.ts';

/** Half-open range [start, end) of UTF-16 units. */
export type Span = readonly [start: number, end: number];

export interface TemplatedText {
  readonly text: string;
  /** The supervised characters, in order: each assistant turn with what ends it. */
  readonly spans: readonly Span[];
}

export interface Template {
  readonly name: TemplateName;
  render(example: Example): TemplatedText;
  /** The text after which the model answers; `messages` end with a user's turn. */
  prompt(messages: readonly Message[]): string;
}

/** Renders a model's own chat template. */
export type RenderChat = ChatTemplate['render'];

export interface TemplateParts {
  readonly renderChat: RenderChat;
  /** Text of the token that ends an answer, e.g. `<|im_end|>`. */
  readonly endOfSequence: string;
}

const makers = {
  chat: ({ renderChat, endOfSequence }: TemplateParts): Template => ({
    name: 'chat',
    render: (example) => renderConversation(example.messages, renderChat, endOfSequence),
    prompt: (messages) => renderChat(messages, { generationPrompt: true }),
  }),
  alpaca: ({ endOfSequence }: TemplateParts): Template =>
    fixedTemplate('alpaca', endOfSequence, {
      preamble:
        'Below is an instruction that describes a task. ' +
        'Write a response that appropriately completes the request.',
      before: '\n\n### Instruction:\n',
      between: ' \n\n### Response: ',
    }),
  vicuna: ({ endOfSequence }: TemplateParts): Template =>
    fixedTemplate('vicuna', endOfSequence, {
      preamble:
        'A chat between a curious user and an artificial intelligence assistant. ' +
        "The assistant gives helpful, detailed, and polite answers to the user's questions. ",
      before: 'USER: ',
      between: ' ASSISTANT: ',
    }),
};

export type TemplateName = keyof typeof makers;
export const TEMPLATE_NAMES: readonly TemplateName[] = ['chat', 'alpaca', 'vicuna'];

function isTemplateName(name: string): name is TemplateName {
  return Object.hasOwn(makers, name);
}

/**
 * `chat` is the model's own template; `alpaca` and `vicuna` are OpenFedLLM's, for single turns to the letter.
 *
 * @throws TributaryError `template.unknown`
 */
export function makeTemplate(name: string, parts: TemplateParts): Template {
  if (!isTemplateName(name)) {
    throw new TributaryError('template.unknown', `There is no template named "${name}".`);
  }
  return makers[name](parts);
}

/** Preamble (or the conversation's own system message), then per turn: before, request, between, answer, end. */
function fixedTemplate(
  name: TemplateName,
  endOfSequence: string,
  fixed: { preamble: string; before: string; between: string },
): Template {
  const join = (messages: readonly Message[]): TemplatedText => {
    let text =
      messages[0]?.role === 'system' ? systemText(messages[0].content, fixed.preamble) : fixed.preamble;
    const spans: Span[] = [];
    for (const { role, content } of messages) {
      if (role === 'user') text += fixed.before + content + fixed.between;
      if (role !== 'assistant') continue;
      const start = text.length;
      text += content + endOfSequence;
      spans.push([start, text.length]);
    }
    return { text, spans };
  };
  return {
    name,
    render: (example) => join(example.messages),
    // Without its last blank, so that the answer's first token carries the blank as it did in training.
    prompt: (messages) => join(messages).text.slice(0, -1),
  };
}

/** A system message takes the preamble's place and keeps the blank that may follow it. */
function systemText(content: string, preamble: string): string {
  return preamble.endsWith(' ') ? `${content} ` : content;
}

/**
 * A chat template is a program, so the answers' places are found by rendering: the text up to an answer is the
 * conversation before it with the generation prompt, the text up to its end is the conversation that ends with it.
 */
function renderConversation(
  messages: readonly Message[],
  renderChat: RenderChat,
  endOfSequence: string,
): TemplatedText {
  const rendered = renderChat(messages, { generationPrompt: false });
  const spans: Span[] = [];
  for (const [index, { role }] of messages.entries()) {
    if (role !== 'assistant') continue;
    spans.push(findAnswer({ messages, index, rendered, renderChat, endOfSequence }));
  }
  const last = spans.at(-1);
  if (last === undefined) return { text: rendered, spans };
  // What follows the last answer (a newline, as a rule) is no part of the conversation the model sees.
  const text = rendered.slice(0, last[1]);
  if (text.endsWith(endOfSequence)) return { text, spans };
  spans[spans.length - 1] = [last[0], last[1] + endOfSequence.length];
  return { text: text + endOfSequence, spans };
}

/** The range of the assistant's turn `index` in the rendered conversation, without white space after its end. */
function findAnswer(search: {
  messages: readonly Message[];
  index: number;
  rendered: string;
  renderChat: RenderChat;
  endOfSequence: string;
}): Span {
  const { messages, index, rendered, renderChat, endOfSequence } = search;
  const before = renderChat(messages.slice(0, index), { generationPrompt: true });
  if (!rendered.startsWith(before)) throw rewritten(index);
  const start = before.length;
  if (index === messages.length - 1) return [start, rendered.trimEnd().length];
  const after = renderChat(messages.slice(0, index + 1), { generationPrompt: false }).trimEnd();
  if (rendered.startsWith(after)) return [start, after.length];
  // Some templates (Qwen3's) render the last answer in another way than earlier ones: go by the answer itself.
  const content = messages[index].content.trim();
  const found = rendered.indexOf(content, start);
  if (found < 0) throw rewritten(index);
  const end = found + content.length;
  return [start, rendered.startsWith(endOfSequence, end) ? end + endOfSequence.length : end];
}

function rewritten(index: number): TributaryError {
  return new TributaryError(
    'template.rewrites-turns',
    `This model's chat template renders message ${index + 1} of a conversation differently once others follow it, ` +
      'so the answer in it cannot be marked.',
  );
}
