import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createChatTemplate } from '../../core/model/chat-template.ts';
import { openGguf } from '../../core/model/gguf.ts';
import type { Tokenizer } from '../../core/model/tokenizer.ts';
import { alignTokens } from '../../core/model/tokenizers/alignment.ts';
import { byteCharacters } from '../../core/model/tokenizers/bytes.ts';
import { tokenizerFromGguf } from '../../core/model/tokenizers/from-gguf.ts';
import { tokenizerFromJson } from '../../core/model/tokenizers/from-json.ts';
import { forEachPiece, namedSplits, translatePattern } from '../../core/model/tokenizers/splits.ts';
import { checkChatTemplate, checkTokenizer } from '../golden/checks/model.ts';
import { codeOf } from '../helpers/errors.ts';
import { ggufBytes, llamaMetadata, smollm2File, temporaryFolder } from './fixtures.ts';
import type { Metadata } from './fixtures.ts';

const merges = ['h e', 'l l', 'he ll', 'hell o', 'Ġ hello', 'l o', 'Ã ©', 'Ġ Ġ', 'ð Ł', '1 2'];
const ordinary = [...byteCharacters, ...merges.map((merge) => merge.replace(' ', ''))];
const END = ordinary.length;
const LITERAL = END + 1;
const tokens = [...ordinary, '<|end|>', '<tag>'];
const folder = temporaryFolder();

function fromGguf(metadata: Metadata = {}): Tokenizer {
  const path = join(folder, 'tokenizer.gguf');
  const all: Metadata = {
    ...llamaMetadata,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'smollm',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': tokens.map((_, id) => (id === END ? 3 : id === LITERAL ? 4 : 1)),
    'tokenizer.ggml.merges': merges,
    'tokenizer.ggml.eos_token_id': END,
    ...metadata,
  };
  writeFileSync(path, ggufBytes(all, []));
  const gguf = openGguf(path);
  try {
    return tokenizerFromGguf(gguf);
  } finally {
    gguf.close();
  }
}

const json = {
  version: '1.0',
  added_tokens: [
    {
      id: END,
      content: '<|end|>',
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    },
    {
      id: LITERAL,
      content: '<tag>',
      special: false,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    },
  ],
  normalizer: null as { type: string } | null,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Digits', individual_digits: true },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    ],
  },
  post_processor: null as unknown,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    vocab: Object.fromEntries(ordinary.map((text, id) => [text, id])),
    merges,
  },
};
const config = { eos_token: '<|end|>', tokenizer_class: 'GPT2Tokenizer' };

/** Texts rich in what goes wrong: blanks, digits, marks, emoji, halves of pairs, special tokens. */
const awkward = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'hello',
        ' ',
        '  ',
        '\n',
        'é',
        'é',
        '12',
        '3',
        '😀',
        '\ud83d',
        '<|end|>',
        '<tag>',
        "'ll",
        '\u0085',
      ),
      fc.string({ unit: 'binary', maxLength: 4 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

const wellFormed = (text: string) => Buffer.from(text).toString('utf8');

describe('byte-level BPE', () => {
  it('merges by rank and gives offsets in UTF-16 units', () => {
    const encoded = fromGguf().encode('hello hello 12é', { special: true });
    const texts = encoded.ids.map((id) => tokens[id]);
    expect(texts).toEqual(['hello', 'Ġhello', 'Ġ', '1', '2', 'Ã©']);
    expect(encoded.offsets).toEqual([[0, 5], [5, 11], [11, 12], [12, 13], [13, 14], [14, 15]]); // prettier-ignore
  });

  it('gives the whole character to each token that covers a part of it', () => {
    const { ids, offsets } = fromGguf().encode('a😀b', { special: true });
    expect(ids.map((id) => tokens[id])).toEqual(['a', 'ðŁ', 'ĺ', 'Ģ', 'b']);
    expect(offsets).toEqual([[0, 1], [1, 3], [1, 3], [1, 3], [3, 4]]); // prettier-ignore
  });

  it('takes special tokens as ids or as text, and literal ones always as ids', () => {
    const tokenizer = fromGguf();
    const text = 'l<|end|><tag>';
    expect(tokenizer.encode(text, { special: true })).toEqual({ ids: [108, END, LITERAL], offsets: [[0, 1], [1, 8], [8, 13]] }); // prettier-ignore
    const literal = tokenizer.encode(text, { special: false });
    expect(literal.ids).not.toContain(END);
    expect(literal.ids.at(-1)).toBe(LITERAL);
    expect(tokenizer.decode(literal.ids)).toBe(text);
    expect(tokenizer.decode([108, END, LITERAL], { skipSpecial: true })).toBe('l<tag>');
    expect(tokenizer.decode([108, END])).toBe('l<|end|>');
  });

  it('decodes what it encoded, with offsets in order, whatever the text', () => {
    const tokenizer = fromGguf();
    fc.assert(
      fc.property(awkward, fc.boolean(), (text, special) => {
        const { ids, offsets } = tokenizer.encode(text, { special });
        expect(tokenizer.decode(ids)).toBe(wellFormed(text));
        expect(offsets.length).toBe(ids.length);
        let before = [0, 0];
        for (const [from, to] of offsets) {
          expect(from === before[1] || (from === before[0] && to === before[1])).toBe(true);
          expect(to).toBeGreaterThan(from);
          before = [from, to];
        }
        expect(before[1]).toBe(text.length);
      }),
    );
  });

  it('drops a byte that has no token', () => {
    const without = tokens.map((text) => (text === byteCharacters[0x61] ? 'unused' : text));
    const { ids, offsets } = fromGguf({ 'tokenizer.ggml.tokens': without }).encode('hal', { special: false });
    expect(ids.map((id) => without[id])).toEqual(['h', 'l']);
    expect(offsets).toEqual([[0, 1], [2, 3]]); // prettier-ignore
  });

  it('takes a whole piece where the model says so', () => {
    const whole = [...tokens.slice(0, -1), 'hellohello'];
    const change: Metadata = {
      'tokenizer.ggml.tokens': whole,
      'tokenizer.ggml.token_type': whole.map(() => 1),
    };
    const encode = (pre: string) =>
      fromGguf({ ...change, 'tokenizer.ggml.pre': pre }).encode('hellohello', { special: false }).ids;
    expect(encode('llama-bpe')).toEqual([LITERAL]);
    expect(encode('smollm')).toHaveLength(2);
  });

  it('tokenises a long text without blanks in time that grows with its length', () => {
    const tokenizer = fromGguf();
    const processorTime = (repetitions: number): number => {
      const before = process.cpuUsage();
      const { ids } = tokenizer.encode('hel'.repeat(repetitions), { special: false });
      expect(ids).toHaveLength(2 * repetitions);
      return process.cpuUsage(before).user;
    };
    // Time that grew with the square of the length would be 16 times as long.
    expect(processorTime(100_000) / processorTime(25_000)).toBeLessThan(10);
  });

  it.each<[string, Metadata, string]>([
    ['a unigram model', { 'tokenizer.ggml.model': 't5' }, 'model.unsupported-tokenizer'],
    ['SentencePiece without scores', { 'tokenizer.ggml.model': 'llama' }, 'model.damaged'],
    ['an unknown pre-tokenizer', { 'tokenizer.ggml.pre': 'mystery' }, 'model.unsupported-tokenizer'],
    ['an end token outside the vocabulary', { 'tokenizer.ggml.eos_token_id': 9999 }, 'model.damaged'],
    ['tokens that are not texts', { 'tokenizer.ggml.tokens': 5 }, 'model.damaged'],
  ])('refuses %s', (_, metadata, code) => {
    expect(codeOf(() => fromGguf(metadata))).toBe(code);
  });
});

describe('pre-tokenisation', () => {
  const pieces = (name: string, text: string) => {
    const found: string[] = [];
    forEachPiece(namedSplits[name], text, (start, end) => found.push(text.slice(start, end)));
    return found;
  };

  it('cuts as the named models do', () => {
    expect(pieces('smollm', "I'll  pay 1234  ")).toEqual([
      'I',
      "'ll",
      ' ',
      ' pay',
      ' ',
      '1',
      '2',
      '3',
      '4',
      '  ',
    ]);
    expect(pieces('gpt-2', 'a 1234')).toEqual(['a', ' 1234']);
    expect(pieces('llama-bpe', 'a 1234\n\nB')).toEqual(['a', ' ', '123', '4', '\n\n', 'B']);
    expect(pieces('qwen2', "WE'LL 12")).toEqual(['WE', "'LL", ' ', '1', '2']);
  });

  it('takes U+0085 for a blank and U+FEFF for none', () => {
    expect(pieces('gpt-2', 'a\u0085\ufeffb')).toEqual(['a', '\u0085', '\ufeff', 'b']);
  });

  it('translates the patterns of tokenizer.json', () => {
    const pattern = translatePattern("(?i:'s|'ll)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\s+(?!\\S)|\\s+");
    expect("WE'LL\u0085".match(pattern ?? /x/)).toEqual(['WE', "'LL", '\u0085']);
    expect(translatePattern('\\p{N}++')).toBeNull();
  });
});

describe('tokenizer.json', () => {
  // The Rust library takes all numbers for digits, the one for JavaScript those from 0 to 9.
  it('gives the ids of Hugging Face’s library, but for blanks and digits where it follows JavaScript', () => {
    const own = tokenizerFromJson(json, config, 'tokenizer.json');
    const library = new LibraryTokenizer(json, config);
    fc.assert(
      fc.property(
        awkward.map((text) => text.replace(/[\u0085\ufeff]|(?!\d)\p{N}/gu, '')),
        (text) => {
          const expected = library.encode(text, { add_special_tokens: false }).ids;
          expect(own.encode(text, { special: true }).ids).toEqual(expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('equals the tokenizer of a GGUF file of the same model', () => {
    const own = tokenizerFromJson(
      { ...json, model: { ...json.model, merges: merges.map((merge) => merge.split(' ')) } },
      config,
      'tokenizer.json',
    );
    const gguf = fromGguf();
    fc.assert(
      fc.property(awkward, fc.boolean(), (text, special) => {
        expect(own.encode(text, { special })).toEqual(gguf.encode(text, { special }));
      }),
    );
  });

  it('composes where the model asks for it, and offsets point into the text as given', () => {
    const own = tokenizerFromJson({ ...json, normalizer: { type: 'NFC' } }, config, 'tokenizer.json');
    const { ids, offsets } = own.encode('ae\u0301b', { special: false });
    expect(ids.map((id) => tokens[id])).toEqual(['a', 'Ã©', 'b']);
    expect(offsets).toEqual([[0, 1], [1, 3], [3, 4]]); // prettier-ignore
  });

  it('finds the token before a sequence', () => {
    const processor = { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<|end|>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }] }; // prettier-ignore
    const own = tokenizerFromJson({ ...json, post_processor: processor }, config, 'tokenizer.json');
    expect(own.beginningOfSequence).toEqual({ id: END, text: '<|end|>' });
    expect(tokenizerFromJson(json, config, 'tokenizer.json').beginningOfSequence).toBeNull();
  });

  it('takes other kinds through the library, with offsets', () => {
    const vocab = Object.fromEntries(['<unk>', '</s>', '▁', 'a', 'b', '▁a', '▁b', 'ab', '▁ab', '<0xC3>', '<0xA9>'].map((text, id) => [text, id])); // prettier-ignore
    const metaspace = {
      added_tokens: [{ id: 1, content: '</s>', special: true, normalized: false }],
      normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] }, // prettier-ignore
      pre_tokenizer: null,
      post_processor: null,
      decoder: { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] }, // prettier-ignore
      model: { type: 'BPE', vocab, merges: ['▁ a', '▁ b', 'a b', '▁ ab', '▁a b'], byte_fallback: true, unk_token: '<unk>', fuse_unk: true }, // prettier-ignore
    };
    const tokenizer = tokenizerFromJson(metaspace, { eos_token: '</s>' }, 'tokenizer.json');
    const encoded = tokenizer.encode('ab éa b', { special: true });
    expect(encoded.offsets.every(([from, to]) => from <= to)).toBe(true);
    expect(encoded.offsets.at(0)?.[0]).toBe(0);
    expect(encoded.offsets.at(-1)).toEqual([5, 7]);
    expect(encoded.offsets[encoded.ids.indexOf(9)]).toEqual([3, 4]);
    expect(tokenizer.decode(encoded.ids)).toBe('ab éa b');
    expect(tokenizer.encode('</s>', { special: true }).ids).toContain(1);
    expect(tokenizer.encode('</s>', { special: false }).ids).not.toContain(1);
  });

  it('refuses what it cannot read', () => {
    expect(codeOf(() => tokenizerFromJson({ model: 5 }, config, 'tokenizer.json'))).toBe('model.damaged');
    expect(codeOf(() => tokenizerFromJson(json, {}, 'tokenizer.json'))).toBe('model.unsupported-tokenizer');
    const mystery = { ...json, pre_tokenizer: { type: 'Mystery' } };
    expect(codeOf(() => tokenizerFromJson(mystery, { eos_token: '<|end|>' }, 'x'))).toBe(
      'model.unsupported-tokenizer',
    );
  });
});

describe('alignment', () => {
  const bytes = (...parts: string[]) => parts.map((part) => Buffer.from(part));
  it.each<[string, string, string[], [number, number][]]>([
    ['a blank before the first word', 'ab c', [' ab', ' c'], [[0, 2], [2, 4]]], // prettier-ignore
    ['blanks that were dropped', 'a   b', ['a', 'b'], [[0, 1], [4, 5]]], // prettier-ignore
    ['a token that was normalised', 'aⅣb', ['a', 'IV', 'b'], [[0, 1], [1, 2], [2, 3]]], // prettier-ignore
    ['a lone blank that is not in the text', 'a', [' ', 'a'], [[0, 0], [0, 1]]], // prettier-ignore
  ])('copes with %s', (_, text, parts, expected) => {
    expect(alignTokens(text, bytes(...parts))).toEqual(expected);
  });
});

describe('chat template', () => {
  const source = "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + eos_token }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"; // prettier-ignore
  const texts = { beginningOfSequence: '<s>', endOfSequence: '</s>' };

  it('renders messages', () => {
    const template = createChatTemplate(source, texts);
    expect(template.render([{ role: 'user', content: 'Hi' }], { generationPrompt: true })).toBe(
      '<user>Hi</s><assistant>',
    );
  });

  it('reports a template that is broken or refuses the messages', () => {
    expect(codeOf(() => createChatTemplate('{% for %}', texts))).toBe('model.chat-template');
    const strict = createChatTemplate("{{ raise_exception('only users') }}", texts);
    expect(() => strict.render([], { generationPrompt: false })).toThrow(/only users/);
    expect(codeOf(() => strict.render([], { generationPrompt: false }))).toBe('model.chat-template');
  });
});

const smollm2 = smollm2File();
const golden = join(import.meta.dirname, '../golden/smollm2');
it.skipIf(smollm2 === null)('tokenises as SmolLM2 in every row', () => {
  const checks = checkTokenizer(join(golden, 'tokenizer.jsonl'), smollm2 ?? '');
  expect(checks.length).toBe(376);
  expect(checks.filter((entry) => entry.status !== 'passed')).toEqual([]);
});

it.skipIf(smollm2 === null)('renders the chat template of SmolLM2', () => {
  const checks = checkChatTemplate(join(golden, 'chat-template.jsonl'), smollm2 ?? '');
  expect(checks.length).toBe(22);
  expect(checks.filter((entry) => entry.status !== 'passed')).toEqual([]);
});
