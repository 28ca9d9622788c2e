/** @file The tokenizer that a GGUF file carries in its metadata. */

import { z } from 'zod';
import { TributaryError } from '../../errors.ts';
import type { Gguf } from '../gguf.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { AddedToken } from './added.ts';
import { createByteLevelTokenizer } from './byte-level.ts';
import { createSentencePieceTokenizer, mergesByScore, segmentByMerges } from './sentencepiece.ts';
import { namedSplits } from './splits.ts';

const id = z.number().int().nonnegative();
const fields = z.object({
  model: z.enum(['gpt2', 'llama']),
  pre: z.string().optional(),
  tokens: z.array(z.string()).min(1),
  token_type: z.array(z.number()).default([]),
  scores: z.array(z.number()).default([]),
  merges: z.array(z.string()).default([]),
  eos_token_id: id,
  bos_token_id: id.optional(),
  unknown_token_id: id.optional(),
  padding_token_id: id.optional(),
  add_bos_token: z.boolean().optional(),
  add_space_prefix: z.boolean().default(true),
});
type Fields = z.infer<typeof fields>;

/** llama.cpp's kinds of token. */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/**
 * Byte-level BPE (`gpt2`) or SentencePiece's BPE (`llama`), as llama.cpp reads them. `add_eos_token` is not followed:
 * templates write the end of a text where there is one.
 * @throws TributaryError `model.unsupported-tokenizer`, `model.damaged`
 */
export function tokenizerFromGguf(gguf: Pick<Gguf, 'path' | 'metadata'>): Tokenizer {
  const found: Record<string, unknown> = {};
  for (const key of Object.keys(fields.shape)) found[key] = gguf.metadata.get(`tokenizer.ggml.${key}`);
  const unsupported = (what: string) =>
    new TributaryError('model.unsupported-tokenizer', `${gguf.path} has ${what}, which is not supported.`);
  if (found['model'] === undefined) throw unsupported('no tokenizer');
  if (found['model'] !== 'gpt2' && found['model'] !== 'llama')
    throw unsupported(`a tokenizer of the kind ${JSON.stringify(found['model'])}`);
  const parsed = fields.safeParse(found);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = `tokenizer.ggml.${issue.path.join('.')}`;
    throw new TributaryError(
      'model.damaged',
      `${gguf.path}: the metadata field ${field} is wrong: ${issue.message}.`,
    );
  }
  const values = parsed.data;
  const named = (name: string, index: number) => {
    if (index >= values.tokens.length) {
      throw new TributaryError('model.damaged', `${gguf.path}: ${name} is ${index}, beyond the vocabulary.`);
    }
    return { id: index, text: values.tokens[index] };
  };
  const added: AddedToken[] = [];
  values.token_type.forEach((type, index) => {
    const text = values.tokens[index] ?? '';
    if (text !== '' && (type === CONTROL || type === USER_DEFINED || type === UNKNOWN)) {
      added.push({ id: index, text, control: type !== USER_DEFINED });
    }
  });
  const endOfSequence = named('eos_token_id', values.eos_token_id);
  const beginsByDefault = values.model === 'llama' || likeLlama3.has(values.pre ?? '');
  const sequence = {
    added,
    endOfSequence,
    beginningOfSequence:
      (values.add_bos_token ?? beginsByDefault) && values.bos_token_id !== undefined
        ? named('bos_token_id', values.bos_token_id)
        : null,
    padding: named('padding_token_id', values.padding_token_id ?? endOfSequence.id).id,
  };
  if (values.model === 'llama') {
    if (values.scores.length !== values.tokens.length) {
      const what = `${values.tokens.length} tokens but ${values.scores.length} scores`;
      throw new TributaryError('model.damaged', `${gguf.path}: the tokenizer has ${what}.`);
    }
    return sentencePiece(values, sequence);
  }
  if (values.pre === undefined) throw unsupported('a tokenizer that does not name its pre-tokenizer');
  if (!Object.hasOwn(namedSplits, values.pre)) throw unsupported(`the pre-tokenizer ${values.pre}`);
  return createByteLevelTokenizer({
    ...sequence,
    tokens: values.tokens,
    merges: pairs(values.merges),
    split: namedSplits[values.pre],
    wholePieces: likeLlama3.has(values.pre),
    compose: false,
  });
}

/**
 * Pre-tokenizers whose models take a piece whole that is a token, and begin a sequence with a token unless the file
 * says otherwise.
 */
const likeLlama3: ReadonlySet<string> = new Set(['llama-bpe', 'llama-v3', 'llama3', 'tekken']);

type Sequence = Pick<Tokenizer, 'endOfSequence' | 'beginningOfSequence' | 'padding'> & {
  readonly added: readonly AddedToken[];
};

/** The blank is put before each section of text between special tokens. */
function sentencePiece(values: Fields, sequence: Sequence): Tokenizer {
  const vocabulary = new Map<string, number>();
  values.tokens.forEach((text, index) => {
    const type = values.token_type[index] ?? NORMAL;
    if ((type === NORMAL || type === UNUSED) && !vocabulary.has(text)) vocabulary.set(text, index);
  });
  return createSentencePieceTokenizer({
    ...sequence,
    tokens: values.tokens,
    segment: segmentByMerges(mergesByScore(vocabulary, values.scores)),
    unknown: values.unknown_token_id ?? null,
    prefix: () => values.add_space_prefix,
    stripsPrefix: values.add_space_prefix,
    splitsWords: false,
  });
}

/** Merge rules are written "left right"; neither side holds a blank. */
function* pairs(merges: readonly string[]): Iterable<readonly [string, string]> {
  for (const merge of merges) {
    const blank = merge.indexOf(' ', 1);
    if (blank > 0) yield [merge.slice(0, blank), merge.slice(blank + 1)];
  }
}
