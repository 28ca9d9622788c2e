/** @file The tokenizer of a Hugging Face folder: `tokenizer.json` with `tokenizer_config.json`. */

import { z } from 'zod';
import { TributaryError } from '../../errors.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { createByteLevelTokenizer } from './byte-level.ts';
import {
  addedTokens,
  mergePairs,
  postProcessor,
  step,
  tokenizerJson,
  tokensById,
  vocabularySchema,
} from './json-schema.ts';
import type { SequenceTokens, Step, TokenizerJson } from './json-schema.ts';
import { createLibraryTokenizer } from './library.ts';
import { sentencePieceFromJson } from './sentencepiece-json.ts';
import { digitSplit, gpt2Split, translatePattern } from './splits.ts';
import type { Split } from './splits.ts';

const tokenName = z.union([
  z.string(),
  z.object({ content: z.string() }).transform(({ content }) => content),
]);
const tokenizerConfig = z.looseObject({
  eos_token: tokenName.nullish(),
  bos_token: tokenName.nullish(),
  pad_token: tokenName.nullish(),
  add_bos_token: z.boolean().nullish(),
});

/**
 * @param json the parsed `tokenizer.json`
 * @param config the parsed `tokenizer_config.json`, or an empty object
 * @param path for messages
 * @throws TributaryError `model.damaged`, `model.unsupported-tokenizer`
 */
export function tokenizerFromJson(json: unknown, config: unknown, path: string): Tokenizer {
  const parsed = tokenizerJson.safeParse(json);
  const settings = tokenizerConfig.safeParse(config);
  if (!parsed.success || !settings.success) {
    const issue = (parsed.error ?? settings.error)?.issues[0];
    const field = issue?.path.join('.') ?? '';
    throw new TributaryError(
      'model.damaged',
      `${path}: the field ${field} is wrong: ${issue?.message ?? ''}.`,
    );
  }
  const tokenizer = parsed.data;
  const idOf = idLookup(tokenizer);
  const named = (text: string | null | undefined) => {
    const id = text === null || text === undefined ? undefined : idOf(text);
    return text === null || text === undefined || id === undefined ? null : { id, text };
  };
  const endOfSequence = named(settings.data.eos_token);
  if (endOfSequence === null) {
    throw new TributaryError('model.unsupported-tokenizer', `${path} names no token that ends a text.`);
  }
  const sequence: SequenceTokens = {
    endOfSequence,
    beginningOfSequence: named(
      prefixToken(tokenizer) ?? (settings.data.add_bos_token === true ? settings.data.bos_token : null),
    ),
    padding: named(settings.data.pad_token)?.id ?? endOfSequence.id,
  };
  return (
    byteLevel(tokenizer, sequence) ??
    sentencePieceFromJson(tokenizer, sequence) ??
    createLibraryTokenizer({ tokenizer, config, sequence, path })
  );
}

function idLookup(tokenizer: TokenizerJson): (text: string) => number | undefined {
  const added = new Map(tokenizer.added_tokens.map((token) => [token.content, token.id]));
  const { vocab } = tokenizer.model;
  return (text) => {
    const id: unknown = added.get(text);
    if (typeof id === 'number') return id;
    if (Array.isArray(vocab)) {
      const index = vocab.findIndex((entry: unknown) => Array.isArray(entry) && entry[0] === text);
      return index < 0 ? undefined : index;
    }
    const own: unknown = Object.entries(vocab ?? {}).find(([name]) => name === text)?.[1];
    return typeof own === 'number' ? own : undefined;
  };
}

/** The token that the post-processor puts before a sequence, if any. */
function prefixToken(tokenizer: TokenizerJson): string | undefined {
  const post = tokenizer.post_processor;
  const list = post === null || post === undefined ? [] : 'processors' in post ? post.processors : [post];
  for (const processor of z.array(postProcessor).parse(list)) {
    const first = processor.single?.[0]?.SpecialToken?.id;
    if (processor.type === 'TemplateProcessing' && first !== undefined) return first;
  }
  return undefined;
}

/** Our own implementation where the file describes plain byte-level BPE; null otherwise. */
function byteLevel(tokenizer: TokenizerJson, sequence: SequenceTokens): Tokenizer | null {
  const parts = byteLevelParts(tokenizer);
  return parts && createByteLevelTokenizer({ ...parts, ...sequence });
}

/** What plain byte-level BPE consists of, where the file describes that; null otherwise. */
export function byteLevelParts(tokenizer: TokenizerJson) {
  const { model, normalizer } = tokenizer;
  const vocabulary = vocabularySchema.safeParse(model.vocab);
  const split = splitOf(tokenizer);
  if (model.type !== 'BPE' || model.merges === undefined || !vocabulary.success || split === null)
    return null;
  if (model.continuing_subword_prefix || model.end_of_word_suffix) return null;
  if (tokenizer.decoder?.type !== 'ByteLevel') return null;
  if (normalizer !== null && normalizer !== undefined && normalizer.type !== 'NFC') return null;
  if (tokenizer.added_tokens.some((token) => token.single_word || token.lstrip || token.rstrip)) return null;
  return {
    tokens: tokensById(tokenizer, vocabulary.data),
    merges: mergePairs(model.merges),
    added: addedTokens(tokenizer),
    split,
    wholePieces: model.ignore_merges === true,
    compose: !!normalizer,
  };
}

/** The patterns of the pre-tokenizer; null for a step that is not one of byte-level BPE's. */
function splitOf(tokenizer: TokenizerJson): Split | null {
  const pre = tokenizer.pre_tokenizer;
  if (pre === null || pre === undefined) return null;
  const list = z.array(step).parse('pretokenizers' in pre ? pre.pretokenizers : [pre]);
  const split: RegExp[] = [];
  for (const entry of list) {
    const pattern = patternOf(entry);
    if (pattern === null) return null;
    if (pattern !== 'none') split.push(pattern);
  }
  return list.at(-1)?.type === 'ByteLevel' ? split : null;
}

function patternOf(entry: Step): RegExp | 'none' | null {
  if (entry.type === 'Digits') return entry.individual_digits === true ? digitSplit : null;
  if (entry.type === 'ByteLevel') {
    if (entry.add_prefix_space === true) return null;
    return entry.use_regex === false ? 'none' : gpt2Split;
  }
  if (entry.type === 'Split' && entry.behavior === 'Isolated' && entry.invert !== true) {
    return entry.pattern?.Regex === undefined ? null : translatePattern(entry.pattern.Regex);
  }
  return null;
}
