import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import type { Tokenizer } from '../../core/model/tokenizer.ts';
import { tokenizePreferences } from '../../core/training/preference-tokens.ts';
import { makeTemplate } from '../../core/training/templates.ts';
import { tokenizeExamples, tokenizePrompt, tokenizeText } from '../../core/training/tokens.ts';
import { checkBatch } from '../golden/checks/batch.ts';
import { smollm2File } from '../model/fixtures.ts';

/** One token a word with the blank before it; ids are the words' lengths, 9 is the beginning, 0 the end `$`. */
function wordTokenizer(beginning: boolean): Tokenizer {
  return {
    vocabularySize: 100,
    endOfSequence: { id: 0, text: '$' },
    beginningOfSequence: beginning ? { id: 9, text: '^' } : null,
    padding: 0,
    encode(text) {
      const matches = [...text.matchAll(/\^|\$| ?[^\s^$]+|\s/g)];
      return {
        ids: matches.map(([word]) => (word === '$' ? 0 : word === '^' ? 9 : word.length)),
        offsets: matches.map(({ 0: word, index }) => [index, index + word.length] as const),
      };
    },
    decode: (ids) => ids.join(' '),
  };
}

const plain = wordTokenizer(false);

describe('tokenizeText', () => {
  it('supervises every token that overlaps a span, the one that carries the blank before it too', () => {
    const text = 'one three: five seven$ tail';
    const tokens = tokenizeText({ text, spans: [[11, 22]] }, plain, 100);
    expect([...(tokens?.ids ?? [])]).toEqual([3, 7, 5, 6, 0, 5]);
    expect([...(tokens?.labels ?? [])]).toEqual([-100, -100, 5, 6, 0, -100]);
    expect(tokens?.supervisedTokens).toBe(3);
  });

  it('follows several spans', () => {
    const tokens = tokenizeText({ text: 'a bb c dd$', spans: [[2, 4], [7, 10]] }, plain, 100); // prettier-ignore
    expect([...(tokens?.labels ?? [])]).toEqual([-100, 3, -100, 3, 0]);
  });

  it('puts the beginning first, once', () => {
    for (const text of ['a bb', '^a bb']) {
      const start = text.indexOf('bb');
      const tokens = tokenizeText({ text, spans: [[start, start + 2]] }, wordTokenizer(true), 100);
      expect([...(tokens?.ids ?? [])]).toEqual([9, 1, 3]);
      expect([...(tokens?.labels ?? [])]).toEqual([-100, -100, 3]);
    }
  });

  it('cuts at the end and gives nothing when no supervised token is left', () => {
    const templated = { text: 'a bb ccc$', spans: [[5, 9]] as const };
    expect([...(tokenizeText(templated, plain, 3)?.labels ?? [])]).toEqual([-100, -100, 4]);
    expect(tokenizeText(templated, plain, 2)).toBeNull();
  });

  it('does not count the first token, which nothing predicts', () => {
    expect(tokenizeText({ text: 'a', spans: [[0, 1]] }, plain, 10)).toBeNull();
    expect(tokenizeText({ text: 'a b', spans: [[0, 3]] }, plain, 10)?.supervisedTokens).toBe(1);
  });
});

describe('tokenizePrompt', () => {
  it('begins as the text of an example does', () => {
    expect(tokenizePrompt('a bb', wordTokenizer(true))).toEqual([9, 1, 3]);
    expect(tokenizePrompt('^a bb', wordTokenizer(true))).toEqual([9, 1, 3]);
    expect(tokenizePrompt('a bb', plain)).toEqual([1, 3]);
  });
});

describe('tokenizeExamples', () => {
  const template = makeTemplate('vicuna', { renderChat: () => '', endOfSequence: '$' });
  const example = (request: string) => ({
    kind: 'conversation' as const,
    messages: [
      { role: 'user' as const, content: request },
      { role: 'assistant' as const, content: 'yes' },
    ],
  });

  it('counts the examples whose answer was cut away', () => {
    const set = [example('short'), example('long '.repeat(40))];
    const { examples, skipped } = tokenizeExamples(set, { template, tokenizer: plain, maxLength: 30 });
    expect([examples.length, skipped]).toEqual([1, 1]);
    expect(examples[0].supervisedTokens).toBe(2);
    expect(() => tokenizeExamples(set, { template, tokenizer: plain, maxLength: 5 })).toThrow(
      expect.objectContaining({ code: 'data.all-truncated' }) as Error,
    );
  });
});

it('leaves out and counts a row that the template refuses, unless it refuses all', () => {
  const renderChat = (messages: readonly { readonly role: string; readonly content: string }[]): string => {
    if (messages.some(({ content }) => content === 'broken')) {
      throw new TributaryError('model.chat-template', 'The template refuses the turns.');
    }
    return messages.map(({ role, content }) => `${role} ${content} `).join('');
  };
  const template = makeTemplate('chat', { renderChat, endOfSequence: '$' });
  const text = { template, tokenizer: plain, maxLength: 30 };
  const conversation = (content: string) => ({
    kind: 'conversation' as const,
    messages: [
      { role: 'user' as const, content },
      { role: 'assistant' as const, content: 'yes' },
    ],
  });
  const [one, broken, other] = ['one', 'broken', 'other'].map(conversation);
  const { examples, skipped } = tokenizeExamples([one, broken, other], text);
  expect([examples.length, skipped]).toEqual([2, 1]);
  expect(() => tokenizeExamples([broken, broken], text)).toThrow('The template refuses the turns.');
  const pair = (content: string) => ({
    kind: 'preference' as const,
    prompt: [{ role: 'user' as const, content }],
    chosen: 'yes',
    rejected: 'no',
  });
  const pairs = tokenizePreferences(['one', 'broken', 'other'].map(pair), text);
  expect(pairs.map(({ index }) => index)).toEqual([0, 2]);
});

const smollm2 = smollm2File();
it.skipIf(smollm2 === null)('turns question and answer pairs into the golden batch of SmolLM2', () => {
  const checks = checkBatch(join(import.meta.dirname, '../golden/smollm2/sft.json'), smollm2 ?? '');
  expect(checks).toHaveLength(4);
  expect(checks.filter(({ status }) => status !== 'passed')).toEqual([]);
});
