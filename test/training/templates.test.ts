import { describe, expect, it } from 'vitest';
import type { Example, Message } from '../../core/training/examples.ts';
import { makeTemplate } from '../../core/training/templates.ts';
import type { RenderChat, TemplatedText } from '../../core/training/templates.ts';

const end = '<|im_end|>';
const chatml: RenderChat = (messages, { generationPrompt }) =>
  messages.map(({ role, content }) => `<|im_start|>${role}\n${content}${end}\n`).join('') +
  (generationPrompt ? '<|im_start|>assistant\n' : '');

const conversation = (...contents: string[]): Example => ({
  kind: 'conversation',
  messages: contents.map((content, i): Message => ({ role: i % 2 === 0 ? 'user' : 'assistant', content })),
});

const supervised = ({ text, spans }: TemplatedText) => spans.map(([start, stop]) => text.slice(start, stop));

describe('chat', () => {
  it('supervises every answer with its end, and drops what follows the last', () => {
    const rendered = makeTemplate('chat', { renderChat: chatml, endOfSequence: end }).render(
      conversation('a', 'b ', 'b', 'b'),
    );
    expect(supervised(rendered)).toEqual([`b ${end}`, `b${end}`]);
    expect(rendered.text).toBe(
      `<|im_start|>user\na${end}\n<|im_start|>assistant\nb ${end}\n` +
        `<|im_start|>user\nb${end}\n<|im_start|>assistant\nb${end}`,
    );
    expect(rendered.spans.map(([start]) => start)).toEqual([
      rendered.text.indexOf('b '),
      rendered.text.lastIndexOf(`b${end}`),
    ]);
  });

  it('appends the end where the template has none', () => {
    const bare: RenderChat = (messages, { generationPrompt }) =>
      messages.map(({ role, content }) => `${role}: ${content}\n`).join('') +
      (generationPrompt ? 'assistant: ' : '');
    const rendered = makeTemplate('chat', { renderChat: bare, endOfSequence: '</s>' }).render(
      conversation('q', 'r', 's', 't'),
    );
    expect(rendered.text).toBe('user: q\nassistant: r\nuser: s\nassistant: t</s>');
    expect(supervised(rendered)).toEqual(['r', 't</s>']);
  });

  it('finds the answers of a template that adds an empty thought to the last answer only', () => {
    const thinking: RenderChat = (messages, { generationPrompt }) =>
      messages
        .map(({ role, content }, i) => {
          const thought = role === 'assistant' && i === messages.length - 1 ? '<think>\n\n</think>\n\n' : '';
          return `<|im_start|>${role}\n${thought}${content}${end}\n`;
        })
        .join('') + (generationPrompt ? '<|im_start|>assistant\n' : '');
    const rendered = makeTemplate('chat', { renderChat: thinking, endOfSequence: end }).render(
      conversation('q', 'r', 's', 't'),
    );
    expect(supervised(rendered)).toEqual([`r${end}`, `<think>\n\n</think>\n\nt${end}`]);
  });

  it('refuses a template that rewrites what came before an answer', () => {
    const counting: RenderChat = (messages) =>
      `${messages.length}:${messages.map((m) => m.content).join('')}`;
    const template = makeTemplate('chat', { renderChat: counting, endOfSequence: end });
    expect(() => template.render(conversation('q', 'r'))).toThrow(
      expect.objectContaining({ code: 'template.rewrites-turns' }) as Error,
    );
  });

  it('prompts with the generation prompt', () => {
    const template = makeTemplate('chat', { renderChat: chatml, endOfSequence: end });
    expect(template.prompt(conversation('q').messages)).toBe(
      `<|im_start|>user\nq${end}\n<|im_start|>assistant\n`,
    );
  });
});

describe('OpenFedLLM’s templates', () => {
  const alpaca = makeTemplate('alpaca', { renderChat: chatml, endOfSequence: '</s>' });
  const vicuna = makeTemplate('vicuna', { renderChat: chatml, endOfSequence: '</s>' });
  const preamble =
    'Below is an instruction that describes a task. Write a response that appropriately completes the request.';

  it('writes alpaca to the letter', () => {
    const rendered = alpaca.render(conversation('Add 2 and 3', '5'));
    expect(rendered.text).toBe(`${preamble}\n\n### Instruction:\nAdd 2 and 3 \n\n### Response: 5</s>`);
    expect(supervised(rendered)).toEqual(['5</s>']);
    expect(alpaca.prompt(conversation('Add').messages)).toBe(
      `${preamble}\n\n### Instruction:\nAdd \n\n### Response:`,
    );
  });

  it('writes vicuna to the letter', () => {
    const system =
      "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.";
    const rendered = vicuna.render(conversation('q', 'a'));
    expect(rendered.text).toBe(`${system} USER: q ASSISTANT: a</s>`);
    expect(supervised(rendered)).toEqual(['a</s>']);
    expect(vicuna.prompt(conversation('q').messages)).toBe(`${system} USER: q ASSISTANT:`);
  });

  it('lets a system message take the preamble’s place and repeats the frame for every turn', () => {
    const { messages } = conversation('q', 'a', 'r', 'b');
    const example: Example = {
      kind: 'conversation',
      messages: [{ role: 'system', content: 'Be brief.' }, ...messages],
    };
    const rendered = vicuna.render(example);
    expect(rendered.text).toBe('Be brief. USER: q ASSISTANT: a</s>USER: r ASSISTANT: b</s>');
    expect(supervised(rendered)).toEqual(['a</s>', 'b</s>']);
    expect(supervised(alpaca.render(example))).toEqual(['a</s>', 'b</s>']);
  });

  it.each(['zephyr', 'toString'])('refuses the unknown name %s', (name) => {
    expect(() => makeTemplate(name, { renderChat: chatml, endOfSequence: end })).toThrow(
      expect.objectContaining({ code: 'template.unknown' }) as Error,
    );
  });
});
