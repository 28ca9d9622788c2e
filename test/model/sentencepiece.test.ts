import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GgufValue } from '../../core/model/gguf.ts';
import { tokenizerFromGguf } from '../../core/model/tokenizers/from-gguf.ts';
import { tokenizeText } from '../../core/training/tokens.ts';
import {
  checkSentencePiece,
  checkSplits,
  readSentencePiece,
  tokenizersOf,
} from '../golden/checks/sentencepiece.ts';
import { codeOf } from '../helpers/errors.ts';

const golden = join(import.meta.dirname, '../golden');
const path = join(golden, 'sentencepiece/tokenizers.json');
const file = readSentencePiece(path);
const { sentencepiece, legacy, first, never, unigram } = tokenizersOf(file);
const textsOf = (ids: readonly number[]) => ids.map((id) => file.tokens[id]);

describe('SentencePiece', () => {
  it('gives the ids of SentencePiece and of Hugging Face’s tokenizers for every awkward text', () => {
    const checks = checkSentencePiece(path);
    expect(checks.filter(({ status }) => status !== 'passed')).toEqual([]);
    expect(checks).toHaveLength(7);
  });

  it('cuts as the named pre-tokenizers do', () => {
    const checks = checkSplits(join(golden, 'pretokenizers/splits.jsonl'));
    expect(checks.filter(({ status }) => status !== 'passed')).toEqual([]);
    expect(checks).toHaveLength(6);
  });

  it('gives the blank before a text no width, and each byte its whole character', () => {
    const { ids, offsets } = sentencepiece.encode('😀 the', { special: true });
    expect(textsOf(ids)).toEqual(['▁', '<0xF0>', '<0x9F>', '<0x98>', '<0x80>', '▁the']);
    expect(offsets).toEqual([[0, 0], [0, 2], [0, 2], [0, 2], [0, 2], [2, 6]]); // prettier-ignore
  });

  it('puts a blank before every section, or before the first, or never', () => {
    const text = 'the</s>the';
    expect(textsOf(legacy.encode(text, { special: true }).ids)).toEqual(['▁the', '</s>', '▁the']);
    expect(textsOf(first.encode(text, { special: true }).ids).slice(0, 2)).toEqual(['▁the', '</s>']);
    expect(textsOf(first.encode(text, { special: true }).ids).at(2)).not.toMatch(/^▁/);
    expect(textsOf(never.encode(text, { special: true }).ids).at(0)).not.toMatch(/^▁/);
  });

  it('takes special tokens as ids or as text', () => {
    expect(sentencepiece.encode('</s>', { special: true }).ids).toEqual([2]);
    expect(sentencepiece.encode('</s>', { special: false }).ids).not.toContain(2);
    expect(sentencepiece.decode([2, ...sentencepiece.encode('a', { special: true }).ids])).toBe('</s> a');
    expect(sentencepiece.decode([2], { skipSpecial: true })).toBe('');
  });

  it('decodes what it encoded, with offsets in order, whatever the text', () => {
    const text = fc.string({ unit: 'binary', maxLength: 24 }).map((one) => one.replace(/▁/gu, ' '));
    for (const tokenizer of [sentencepiece, legacy, never, unigram]) {
      fc.assert(
        fc.property(text, (given) => {
          const { ids, offsets } = tokenizer.encode(given, { special: false });
          // Metaspace puts no blank before a text that begins with one, and takes one away all the same.
          if (tokenizer !== unigram || !given.startsWith(' ')) {
            expect(tokenizer.decode(ids)).toBe(Buffer.from(given).toString('utf8'));
          }
          let end = 0;
          const disorder = offsets.filter(([from, to]) => {
            const follows = from === end || (from < end && to === end);
            end = to;
            return !follows;
          });
          expect(disorder).toEqual([]);
          expect(end).toBe(given.length);
        }),
      );
    }
  });

  it('takes time that grows with the length of a text without blanks', () => {
    const { ids } = sentencepiece.encode('the'.repeat(50_000), { special: false });
    expect(sentencepiece.decode(ids)).toHaveLength(150_000);
  });

  it('supervises the answer and what ends it, whatever lies before', () => {
    const text = 'The clinic: 医生😀 answers</s>';
    const example = tokenizeText({ text, spans: [[12, text.length]] }, sentencepiece, 100);
    const supervised = Array.from(example?.labels ?? []).filter((label) => label >= 0);
    expect(sentencepiece.decode(supervised)).toBe('医生😀 answers</s>');
    expect(example?.ids[0]).toBe(1);
  });

  const metadata = (change: Record<string, GgufValue>) => {
    const fields = { model: 'llama', tokens: file.tokens, scores: file.scores, token_type: file.token_type, bos_token_id: 1, eos_token_id: 2, ...change }; // prettier-ignore
    const entries = Object.entries(fields).map(([key, value]) => [`tokenizer.ggml.${key}`, value] as const);
    return { path: 'a.gguf', metadata: new Map<string, GgufValue>(entries) };
  };

  it('begins a sequence with a token unless the file says otherwise', () => {
    expect(tokenizerFromGguf(metadata({})).beginningOfSequence).toEqual({ id: 1, text: '<s>' });
    expect(tokenizerFromGguf(metadata({ add_bos_token: false })).beginningOfSequence).toBeNull();
  });

  it('writes a character without a token as the unknown token, or not at all', () => {
    const tokens = file.tokens.map((text) => text.replace(/^<0x/, '<no0x'));
    const unknown = tokenizerFromGguf(metadata({ tokens, unknown_token_id: 0 }));
    expect(unknown.encode('한😀 the', { special: false })).toMatchObject({ offsets: [[0, 0], [0, 3], [3, 7]] }); // prettier-ignore
    expect(unknown.encode('😀', { special: false }).ids.at(-1)).toBe(0);
    const none = tokenizerFromGguf(metadata({ tokens }));
    expect(textsOf(none.encode('😀', { special: false }).ids)).toEqual(['▁']);
  });

  it('refuses a table of scores that does not fit', () => {
    expect(codeOf(() => tokenizerFromGguf(metadata({ scores: [1, 2] })))).toBe('model.damaged');
  });
});
