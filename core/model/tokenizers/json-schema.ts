/** @file What a `tokenizer.json` holds, and its tables in the form that tokenizers are made from. */

import { z } from 'zod';
import type { Tokenizer } from '../tokenizer.ts';
import type { AddedToken } from './added.ts';

const addedToken = z.object({
  id: z.number().int().nonnegative(),
  content: z.string().min(1),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().default(false),
  special: z.boolean().default(false),
});

export const step = z.looseObject({
  type: z.string(),
  individual_digits: z.boolean().optional(),
  add_prefix_space: z.boolean().optional(),
  use_regex: z.boolean().optional(),
  replacement: z.string().optional(),
  prepend_scheme: z.enum(['always', 'first', 'never']).optional(),
  split: z.boolean().optional(),
  behavior: z.string().optional(),
  invert: z.boolean().optional(),
  pattern: z.object({ Regex: z.string().optional(), String: z.string().optional() }).optional(),
});
export type Step = z.infer<typeof step>;
const steps = z.union([z.object({ type: z.literal('Sequence'), pretokenizers: z.array(step) }), step]);

const templatePart = z.object({ SpecialToken: z.object({ id: z.string() }).optional() });
export const postProcessor = z.looseObject({ type: z.string(), single: z.array(templatePart).optional() });

export const tokenizerJson = z.looseObject({
  added_tokens: z.array(addedToken).default([]),
  normalizer: z.looseObject({ type: z.string() }).nullish(),
  pre_tokenizer: steps.nullish(),
  post_processor: z
    .union([z.object({ type: z.literal('Sequence'), processors: z.array(postProcessor) }), postProcessor])
    .nullish(),
  decoder: z.looseObject({ type: z.string() }).nullish(),
  model: z.looseObject({
    type: z.string().default('BPE'),
    vocab: z.unknown(),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])).optional(),
    ignore_merges: z.boolean().optional(),
    byte_fallback: z.boolean().optional(),
    unk_token: z.string().nullish(),
    unk_id: z.number().int().nonnegative().nullish(),
    continuing_subword_prefix: z.string().nullish(),
    end_of_word_suffix: z.string().nullish(),
  }),
});
export type TokenizerJson = z.infer<typeof tokenizerJson>;

/** Tokens with a role, which all implementations need. */
export interface SequenceTokens {
  readonly endOfSequence: Tokenizer['endOfSequence'];
  readonly beginningOfSequence: Tokenizer['beginningOfSequence'];
  readonly padding: number;
}

export const vocabularySchema = z.record(
  z.string(),
  z
    .number()
    .int()
    .nonnegative()
    .max(2 ** 23),
);

/** Texts by id, added tokens among them. */
export function tokensById(
  { added_tokens: added }: TokenizerJson,
  vocabulary: Readonly<Record<string, number>>,
): (string | undefined)[] {
  const tokens: (string | undefined)[] = [];
  for (const [text, id] of Object.entries(vocabulary)) tokens[id] = text;
  for (const { id, content } of added) tokens[id] = content;
  return tokens;
}

export function addedTokens(tokenizer: TokenizerJson): AddedToken[] {
  return tokenizer.added_tokens.map(({ id, content, special }) => ({ id, text: content, control: special }));
}

/** Merge rules are pairs, or "left right" where neither side holds a blank. */
export function mergePairs(merges: NonNullable<TokenizerJson['model']['merges']>): [string, string][] {
  return merges.map((merge) => {
    if (typeof merge !== 'string') return merge;
    const blank = merge.indexOf(' ', 1);
    return [merge.slice(0, blank), merge.slice(blank + 1)];
  });
}
