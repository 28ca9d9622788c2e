/** @file From a templated text to token ids and labels, by character offsets. */

import { UNSUPERVISED } from '../engine/batch.ts';
import { TributaryError } from '../errors.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { Example } from './examples.ts';
import type { Span, Template, TemplatedText } from './templates.ts';
import { usable } from './usable.ts';

export interface TokenExample {
  readonly ids: Int32Array;
  /** Per token its id, or {@link UNSUPERVISED}; `labels[t]` is predicted from the tokens before t. */
  readonly labels: Int32Array;
  /** Number of targets: supervised tokens without the first token, which nothing predicts. */
  readonly supervisedTokens: number;
  /** Keyed hash of the person that the example is about, where the rows say it. */
  readonly person?: string;
}

/**
 * A token is supervised where it overlaps a supervised span. The sequence starts with the model's beginning
 * token where it has one and the template has not written it, and is cut at the end to `maxLength` tokens.
 *
 * @returns null when no supervised token is left
 */
export function tokenizeText(
  { text, spans }: TemplatedText,
  tokenizer: Tokenizer,
  maxLength: number,
): TokenExample | null {
  const encoding = tokenizer.encode(text, { special: true });
  const prefix = missingBeginning(encoding.ids, tokenizer);
  const length = Math.min(prefix.length + encoding.ids.length, maxLength);
  const ids = Int32Array.from([...prefix, ...encoding.ids.slice(0, length - prefix.length)]);
  const labels = new Int32Array(length).fill(UNSUPERVISED);
  let supervisedTokens = 0;
  let span = 0;
  for (let token = prefix.length; token < length; token++) {
    const range = encoding.offsets[token - prefix.length];
    while (span < spans.length && spans[span][1] <= range[0]) span++;
    if (span === spans.length) break;
    if (!overlaps(range, spans[span])) continue;
    labels[token] = ids[token];
    if (token > 0) supervisedTokens++;
  }
  return supervisedTokens > 0 ? { ids, labels, supervisedTokens } : null;
}

/** Token ids of the text that a model continues, begun as in training. */
export function tokenizePrompt(text: string, tokenizer: Tokenizer): number[] {
  const { ids } = tokenizer.encode(text, { special: true });
  return [...missingBeginning(ids, tokenizer), ...ids];
}

/** The beginning token of a model that has one, unless the ids start with it. */
function missingBeginning(ids: readonly number[], { beginningOfSequence }: Tokenizer): number[] {
  return beginningOfSequence === null || ids[0] === beginningOfSequence.id ? [] : [beginningOfSequence.id];
}

/** A token without width (a later byte of a character) counts as lying on its position. */
function overlaps(token: Span, span: Span): boolean {
  return token[0] < span[1] && Math.max(token[1], token[0] + 1) > span[0];
}

export interface TokenizedSet {
  readonly examples: readonly TokenExample[];
  /** Examples left out because their supervised tokens were all cut away, or because the template refuses them. */
  readonly skipped: number;
}

/**
 * Templates and tokenizes a set.
 *
 * @throws TributaryError `data.all-truncated` when no example keeps a supervised token
 */
export function tokenizeExamples(
  examples: readonly Example[],
  { template, tokenizer, maxLength }: { template: Template; tokenizer: Tokenizer; maxLength: number },
): TokenizedSet {
  const kept = usable(examples, (example) => {
    const tokens = tokenizeText(template.render(example), tokenizer, maxLength);
    return tokens && (example.person === undefined ? tokens : { ...tokens, person: example.person });
  }).map(({ tokens }) => tokens);
  if (kept.length === 0) throw allTruncated(examples.length, maxLength);
  return { examples: kept, skipped: examples.length - kept.length };
}

/** The error of a set of which nothing is left to train on. */
export function allTruncated(examples: number, maxLength: number): TributaryError {
  return new TributaryError(
    'data.all-truncated',
    `None of the ${examples} examples keeps a supervised token within ${maxLength} tokens.`,
  );
}
