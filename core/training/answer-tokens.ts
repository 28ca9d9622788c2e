/** @file From a prompt and its possible answers to tokens, without reading the prompt anew for every answer. */

import type { Tokenizer } from '../model/tokenizer.ts';
import type { Template } from './templates.ts';
import type { AnswerTokens } from './answer-tree.ts';
import type { AnswerQuestion } from './requests.ts';
import { tokenizeText } from './tokens.ts';

/** So many characters before an answer, or a few more, are read again with each answer. */
const TAIL = 48;

/**
 * Each answer after the prompt. A token that begins in the prompt and reaches into the answer belongs to the answer,
 * as while training. In a template an answer is followed by what ends it there, in plain text by nothing.
 * @throws Error when an answer is empty
 */
export function tokenizeAnswers(
  question: AnswerQuestion,
  { template, tokenizer }: { template: Template | null; tokenizer: Tokenizer },
): AnswerTokens[] {
  const { before, after } = frameOf(question, template);
  const whole = (answer: string): AnswerTokens => {
    const text = before + answer + after;
    const tokens = tokenizeText({ text, spans: [[before.length, text.length]] }, tokenizer, Infinity);
    if (!tokens) throw new Error('an answer is empty');
    return { ids: tokens.ids, answer: tokens.ids.length - tokens.supervisedTokens };
  };
  const first = whole(question.answers[0]);
  const tail = tailOf(before, tokenizer);
  const short = (answer: string): AnswerTokens | null => {
    if (tail === null) return null;
    const text = tail.text + answer + after;
    const { ids, offsets } = tokenizer.encode(text, { special: true });
    const at = offsets.findIndex(([start, end]) => Math.max(end, start + 1) > tail.text.length);
    return { ids: Int32Array.from([...tail.head, ...ids]), answer: tail.head.length + at };
  };
  // Where both ways agree on one answer, the tail decides the others as the whole text would.
  const same = short(question.answers[0]);
  const isLocal = same !== null && same.answer === first.answer && same.ids.join() === first.ids.join();
  return question.answers.map((answer, index) =>
    index === 0 ? first : ((isLocal ? short(answer) : null) ?? whole(answer)),
  );
}

/** The text before the answers, and what follows each. */
function frameOf(
  { prompt, answers }: AnswerQuestion,
  template: Template | null,
): { before: string; after: string } {
  if (typeof prompt === 'string' && template === null) return { before: prompt, after: '' };
  if (typeof prompt === 'string' || template === null)
    throw new Error('messages need a template, and a text none');
  const [answer] = answers;
  const { text, spans } = template.render({
    kind: 'conversation',
    messages: [...prompt, { role: 'assistant', content: answer }],
  });
  const [start] = spans[spans.length - 1];
  // Templates strip white space around a turn.
  if (!text.startsWith(answer, start)) throw new Error('the template changes an answer');
  return { before: text.slice(0, start), after: text.slice(start + answer.length) };
}

/** The prompt's end from a line's or a word's beginning on, and the tokens before that; null where none is apart. */
function tailOf(before: string, tokenizer: Tokenizer): { head: readonly number[]; text: string } | null {
  if (before.length <= TAIL) return null;
  const encoding = tokenizer.encode(before, { special: true });
  const begins = /\s/;
  for (let token = encoding.ids.length - 1; token > 0; token--) {
    const [start] = encoding.offsets[token];
    if (start > before.length - TAIL || !begins.test(before[start])) continue;
    const bos = tokenizer.beginningOfSequence;
    const head = encoding.ids.slice(0, token);
    const isMissing = bos !== null && head[0] !== bos.id;
    return { head: isMissing ? [bos.id, ...head] : head, text: before.slice(start) };
  }
  return null;
}
