import { describe, expect, it } from 'vitest';
import { UNSUPERVISED } from '../../core/engine/batch.ts';
import { openTiny } from '../../core/model/tiny.ts';
import type { Tokenizer } from '../../core/model/tokenizer.ts';
import type { PreferenceExample } from '../../core/training/examples.ts';
import { tokenizePreference, tokenizePreferences } from '../../core/training/preference-tokens.ts';
import { makeTemplate } from '../../core/training/templates.ts';
import type { TokenExample } from '../../core/training/tokens.ts';

// One token a byte, and one a special token.
const { tokenizer } = openTiny();
const template = makeTemplate('vicuna', {
  renderChat: () => '',
  endOfSequence: tokenizer.endOfSequence.text,
});
const preamble = template.prompt([{ role: 'user', content: 'Why?' }]).length + 1;

function pair(chosen: string, rejected: string): PreferenceExample {
  return { kind: 'preference', prompt: [{ role: 'user', content: 'Why?' }], chosen, rejected };
}

function tokenize(example: PreferenceExample, maxLength: number, maxPromptLength?: number) {
  return tokenizePreference(example, { template, tokenizer, maxLength, maxPromptLength });
}

const text = ({ ids }: TokenExample) => tokenizer.decode([...ids]);
const supervised = ({ ids, labels }: TokenExample) =>
  tokenizer.decode([...ids].filter((_, at) => labels[at] !== UNSUPERVISED));

describe('tokens of a pair', () => {
  it('are the prompt, each answer and its end; only the answers are supervised', () => {
    const tokens = tokenize(pair('So.', 'Because.'), 1000);
    expect(tokens && [supervised(tokens.chosen), supervised(tokens.rejected)]).toEqual([
      'So.<|im_end|>',
      'Because.<|im_end|>',
    ]);
    expect(tokens && text(tokens.chosen)).toMatch(/^A chat .*USER: Why\? ASSISTANT: So\.<\|im_end\|>$/);
    expect(tokens?.chosen.supervisedTokens).toBe(4);
  });

  it('supervises no earlier answer of the conversation', () => {
    const prompt = [
      { role: 'user', content: 'Why?' },
      { role: 'assistant', content: 'How so?' },
      { role: 'user', content: 'Tell.' },
    ] as const;
    const tokens = tokenize({ ...pair('a', 'b'), prompt }, 1000);
    expect(tokens && supervised(tokens.chosen)).toBe('a<|im_end|>');
  });

  it('loses the start of the prompt first, no more than is needed', () => {
    const tokens = tokenize(pair('So.', 'Because.'), 40, 5);
    expect(tokens && text(tokens.rejected)).toBe('estions. USER: Why? ASSISTANT: Because.<|im_end|>');
    expect(tokens?.rejected.ids).toHaveLength(40);
    expect(tokens && supervised(tokens.chosen)).toBe('So.<|im_end|>');
  });

  it('then loses the end of the answers, with it the token that ends them', () => {
    const tokens = tokenize(pair('So.', 'Because I say so.'), 20, 10);
    expect(tokens && text(tokens.rejected)).toBe('SSISTANT: Because I ');
    expect(tokens && text(tokens.chosen)).toBe('SSISTANT: So.<|im_end|>');
  });

  it('keeps a quarter of the length for the prompt unless told otherwise', () => {
    const tokens = tokenize(pair('x'.repeat(100), 'y'.repeat(100)), 40);
    expect(tokens?.chosen.supervisedTokens).toBe(30);
  });

  it('keeps the whole prompt where all fits', () => {
    const tokens = tokenize(pair('So.', 'No.'), preamble + 4, 5);
    expect(tokens?.chosen.ids).toHaveLength(preamble + 4);
  });

  it.each([
    ['are equal', pair('So.', 'So.'), 1000],
    ['differ only beyond the cut', pair('Because I say so.', 'Because I do.'), 20],
    ['are cut away', pair('So.', 'No.'), 5],
  ])('are none where the answers %s', (_what, example, maxLength) => {
    expect(tokenize(example, maxLength, 10)).toBeNull();
    const text = { template, tokenizer, maxLength: 1000, maxPromptLength: 10 };
    const same = pair('So.', 'So.');
    expect(tokenizePreferences([same, pair('a', 'b'), same], text).map(({ index }) => index)).toEqual([1]);
    expect(() => tokenizePreferences([example], { ...text, maxLength })).toThrow(
      `none of the 1 pairs differ within ${maxLength} tokens`,
    );
  });

  it('keep the beginning token of a model that has one when the prompt is cut', () => {
    const begins: Tokenizer = { ...tokenizer, beginningOfSequence: { id: 256, text: '<|endoftext|>' } };
    const options = { template, tokenizer: begins, maxLength: 30, maxPromptLength: 10 };
    const tokens = tokenizePreference(pair('So.', 'No.'), options);
    expect(tokens?.chosen.ids).toHaveLength(30);
    expect(tokens && text(tokens.chosen)).toBe('<|endoftext|>s. USER: Why? ASSISTANT: So.<|im_end|>');
  });

  it('give a token that begins before an answer to the answer', () => {
    // Words carry the blank before them, so the answer's first token begins within the prompt's text.
    const words: Tokenizer = {
      ...tokenizer,
      encode: (whole) => {
        const matches = [...whole.matchAll(/<\|im_end\|>| ?[^\s<]+|\s/g)];
        return {
          ids: matches.map(
            ([word]) => [...word].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % 1e6,
          ),
          offsets: matches.map(({ 0: word, index }) => [index, index + word.length] as const),
        };
      },
    };
    const tokens = tokenizePreference(pair('So it is', 'No'), { template, tokenizer: words, maxLength: 100 });
    expect(tokens?.chosen.supervisedTokens).toBe(4);
    expect(tokens?.rejected.supervisedTokens).toBe(2);
  });
});
