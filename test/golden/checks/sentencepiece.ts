/** @file sentencepiece/tokenizers.json and pretokenizers/splits.jsonl: ids, offsets and pieces of awkward texts. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { GgufValue } from '../../../core/model/gguf.ts';
import type { Encoding, Tokenizer } from '../../../core/model/tokenizer.ts';
import { tokenizerFromGguf } from '../../../core/model/tokenizers/from-gguf.ts';
import { tokenizerFromJson } from '../../../core/model/tokenizers/from-json.ts';
import { forEachPiece, namedSplits } from '../../../core/model/tokenizers/splits.ts';
import { check } from '../check.ts';
import type { Check } from '../check.ts';

const ids = z.array(z.number());
const encoding = z.object({ ids, offsets: z.array(z.tuple([z.number(), z.number()])) });
const kinds = ['legacy', 'first', 'always', 'never', 'unigram'] as const;
const fileShape = z.object({
  tokens: z.array(z.string()),
  scores: z.array(z.number()),
  token_type: z.array(z.number()),
  merges: z.array(z.string()),
  bpe: z.looseObject({}),
  unigram: z.looseObject({ vocab: z.array(z.tuple([z.string(), z.number()])) }),
  variants: z.record(z.enum(kinds), z.looseObject({})),
  texts: z.array(
    z.looseObject({
      text: z.string(),
      /** By SentencePiece itself, with and without the blank before a text; absent where it knows no such input. */
      sentencepiece: ids.optional(),
      without_prefix: ids.optional(),
      ...Object.fromEntries(kinds.map((kind) => [kind, encoding])),
    }),
  ),
});
type File = z.infer<typeof fileShape>;

/** The tokenizers of a `tokenizers.json`: of a GGUF file with and without prefix, and one per form of tokenizer.json. */
export function tokenizersOf(file: File): Record<string, Tokenizer> {
  const fromGguf = (prefix: boolean): Tokenizer => {
    const metadata = new Map<string, GgufValue>(
      Object.entries({
        model: 'llama',
        tokens: file.tokens,
        scores: file.scores,
        token_type: file.token_type,
        bos_token_id: 1,
        eos_token_id: 2,
        unknown_token_id: 0,
        add_space_prefix: prefix,
      }).map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
    );
    return tokenizerFromGguf({ path: 'sentencepiece.gguf', metadata });
  };
  const vocab = Object.fromEntries(file.tokens.map((token, id) => [token, id]));
  const bpe = { ...file.bpe, vocab, merges: file.merges };
  const fromJson = (kind: (typeof kinds)[number]): Tokenizer => {
    const model = kind === 'unigram' ? file.unigram : bpe;
    return tokenizerFromJson({ ...file.variants[kind], model }, { eos_token: '</s>' }, `${kind}.json`);
  };
  return {
    sentencepiece: fromGguf(true),
    without_prefix: fromGguf(false),
    ...Object.fromEntries(kinds.map((kind) => [kind, fromJson(kind)])),
  };
}

export function readSentencePiece(file: string): File {
  return fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
}

export function checkSentencePiece(path: string): Check[] {
  const file = readSentencePiece(path);
  return Object.entries(tokenizersOf(file)).map(([kind, tokenizer]) => {
    const textOf = (id: number): string => (kind === 'unigram' ? file.unigram.vocab[id][0] : file.tokens[id]);
    const differences = file.texts.flatMap((row) => {
      const expected = z
        .union([ids.transform((list) => ({ ids: list })), encoding])
        .safeParse(row[kind]).data;
      if (expected === undefined) return [];
      // SentencePiece itself knows no special tokens in a text.
      const found = tokenizer.encode(row.text, { special: kinds.some((name) => name === kind) });
      const difference = differs(found, expected, textOf);
      return difference === null ? [] : [`${JSON.stringify(row.text)}: ${difference}`];
    });
    const summary = differences.length === 0 ? null : `${differences.length} texts, first ${differences[0]}`;
    return check(`${kind} on ${file.texts.length} texts`, summary);
  });
}

/**
 * Offsets are compared but for two things that the reference does otherwise: it gives a blank that was put before a
 * text the first character, ours has no width; it gives bytes a whole run of unknown characters, ours the character.
 */
function differs(
  found: Encoding,
  expected: { ids: number[]; offsets?: [number, number][] },
  textOf: (id: number) => string,
): string | null {
  if (found.ids.join() !== expected.ids.join()) {
    return `ids ${found.ids.join(' ')}, expected ${expected.ids.join(' ')}`;
  }
  const at = expected.offsets?.findIndex(([from, to], index) => {
    const [start, end] = found.offsets[index];
    const isByte = textOf(found.ids[index]).startsWith('<0x');
    if (start === end) return start !== from;
    return isByte ? start < from || end > to : start !== from || end !== to;
  });
  if (at === undefined || at < 0) return null;
  return `offset ${at} is ${found.offsets[at].join('–')}, expected ${expected.offsets?.[at].join('–')}`;
}

const splitRow = z.looseObject({ text: z.string() });

/** Where the pieces of each named pre-tokenizer end. */
export function checkSplits(path: string): Check[] {
  const rows = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => splitRow.parse(JSON.parse(line)));
  const names = Object.keys(rows[0]).filter((name) => name !== 'text');
  return names.map((name) => {
    const wrong = rows.filter((row) => {
      const ends: number[] = [];
      forEachPiece(namedSplits[name], row.text, (_, end) => ends.push(end));
      return ends.join() !== ids.parse(row[name]).join();
    });
    const detail = wrong.length === 0 ? null : `${wrong.length} texts, first ${JSON.stringify(wrong[0])}`;
    return check(`${name} on ${rows.length} texts`, detail);
  });
}
