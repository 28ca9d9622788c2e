/** @file Recognises a `tokenizer.json` that was SentencePiece's BPE or unigram model with bytes as a last resort. */

import { z } from 'zod';
import type { Tokenizer } from '../tokenizer.ts';
import { addedTokens, mergePairs, tokensById, vocabularySchema } from './json-schema.ts';
import type { SequenceTokens, Step, TokenizerJson } from './json-schema.ts';
import { createMerges } from './merges.ts';
import { createSentencePieceTokenizer, segmentByMerges } from './sentencepiece.ts';
import type { SentencePieceDescription } from './sentencepiece.ts';
import { segmentByUnigram } from './unigram.ts';

type Blanks = Pick<SentencePieceDescription, 'prefix' | 'stripsPrefix' | 'splitsWords'>;

/** The tokenizer, or null where the file describes something else. */
export function sentencePieceFromJson(tokenizer: TokenizerJson, sequence: SequenceTokens): Tokenizer | null {
  const { model } = tokenizer;
  const blanks = blanksOf(tokenizer);
  const pieces = model.type === 'Unigram' ? unigram(model) : byMerges(model);
  if (blanks === null || pieces === null || model.byte_fallback !== true) return null;
  const odd = tokenizer.added_tokens.some(
    (token) =>
      token.single_word || token.lstrip || token.rstrip || (token.normalized && tokenizer.normalizer),
  );
  if (odd) return null;
  return createSentencePieceTokenizer({
    ...sequence,
    ...blanks,
    tokens: tokensById(tokenizer, pieces.vocabulary),
    added: addedTokens(tokenizer),
    segment: pieces.segment,
    unknown: pieces.unknown,
  });
}

type Pieces = Pick<SentencePieceDescription, 'segment' | 'unknown'> & {
  readonly vocabulary: Readonly<Record<string, number>>;
};

function byMerges(model: TokenizerJson['model']): Pieces | null {
  const { data: vocabulary } = vocabularySchema.safeParse(model.vocab);
  if (vocabulary === undefined || model.type !== 'BPE' || model.merges === undefined) return null;
  if (model.ignore_merges === true || model.continuing_subword_prefix || model.end_of_word_suffix)
    return null;
  const ids = new Map(Object.entries(vocabulary));
  const segment = segmentByMerges(createMerges(ids, mergePairs(model.merges)));
  return { vocabulary, segment, unknown: ids.get(model.unk_token ?? '') ?? null };
}

const scoredPieces = z.array(z.tuple([z.string(), z.number()]));

function unigram(model: TokenizerJson['model']): Pieces | null {
  const { data: pieces } = scoredPieces.safeParse(model.vocab);
  if (pieces === undefined) return null;
  const ids = new Map(pieces.map(([text], id) => [text, id]));
  const scores = pieces.map(([, score]) => score);
  return {
    vocabulary: Object.fromEntries(ids),
    segment: segmentByUnigram(ids, scores),
    unknown: model.unk_id ?? null,
  };
}

const normalizerStep = z.union([
  z.object({ type: z.literal('Prepend'), prepend: z.literal('▁') }),
  z.object({
    type: z.literal('Replace'),
    pattern: z.object({ String: z.literal(' ') }),
    content: z.literal('▁'),
  }),
]);
const normalizerSchema = z.union([
  z.object({ type: z.literal('Sequence'), normalizers: z.array(normalizerStep) }),
  normalizerStep,
]);

/**
 * How blanks are written: by a normaliser that replaces them and puts one before each section (the older form), or by
 * a pre-tokenizer Metaspace, which puts one before only where there is none.
 */
function blanksOf({ normalizer, pre_tokenizer: pre }: TokenizerJson): Blanks | null {
  const isAbsent = (part: unknown): boolean => part === null || part === undefined;
  if (isAbsent(normalizer) && pre?.type === 'Metaspace' && !('pretokenizers' in pre)) return metaspace(pre);
  const parsed = normalizerSchema.safeParse(normalizer);
  if (!isAbsent(pre) || !parsed.success) return null;
  const steps = parsed.data.type === 'Sequence' ? parsed.data.normalizers : [parsed.data];
  if (!steps.some(({ type }) => type === 'Replace')) return null;
  const prepends = steps.some(({ type }) => type === 'Prepend');
  return { prefix: () => prepends, stripsPrefix: prepends, splitsWords: false };
}

function metaspace(step: Step): Blanks | null {
  if ((step.replacement ?? '▁') !== '▁') return null;
  const scheme = step.prepend_scheme ?? (step.add_prefix_space === false ? 'never' : 'always');
  const hasNone = (section: string): boolean => !/^[ ▁]/.test(section);
  const prefix: Blanks['prefix'] = {
    always: hasNone,
    first: (section: string, start: number) => start === 0 && hasNone(section),
    never: () => false,
  }[scheme];
  return { prefix, stripsPrefix: scheme !== 'never', splitsWords: step.split ?? true };
}
