/** @file From a pair of answers to the tokens of both, cut to a length. */

import { UNSUPERVISED } from '../engine/batch.ts';
import { TributaryError } from '../errors.ts';
import type { PreferenceExample } from './examples.ts';
import type { ModelText } from './model-text.ts';
import { tokenizeText, type TokenExample } from './tokens.ts';
import { usable } from './usable.ts';

/** Both texts of a pair: they begin with the same prompt, and only the answers are supervised. */
export interface PreferenceTokens {
  readonly chosen: TokenExample;
  readonly rejected: TokenExample;
}

/** How pairs become tokens. */
export interface PreferenceText extends ModelText {
  /** The prompt is not cut below this length; a quarter of `maxLength` by default, as in OpenFedLLM. */
  readonly maxPromptLength?: number;
}

/**
 * The prompt with each answer and what ends it. Where the prompt and the longer answer exceed `maxLength`, the prompt
 * loses tokens at its start (but its beginning token) until both fit or `maxPromptLength` tokens are left of it; then
 * the answers lose tokens at their end. OpenFedLLM leaves `maxPromptLength` tokens of the prompt in either case.
 *
 * @returns null when nothing is left of an answer, or no difference between them
 */
export function tokenizePreference(
  { prompt, chosen, rejected, person }: PreferenceExample,
  { template, tokenizer, maxLength, maxPromptLength = Math.floor(maxLength / 4) }: PreferenceText,
): PreferenceTokens | null {
  const [one, other] = [chosen, rejected].map((content) => {
    const { text, spans } = template.render({
      kind: 'conversation',
      messages: [...prompt, { role: 'assistant', content }],
    });
    return tokenizeText({ text, spans: spans.slice(-1) }, tokenizer, Infinity);
  });
  if (!one || !other) return null;
  const promptLength = commonPrompt(one, other);
  const longer = Math.max(one.ids.length, other.ids.length) - promptLength;
  // The first token of an answer is predicted from the last one of the prompt.
  const keptPrompt = Math.min(promptLength, Math.max(maxLength - longer, maxPromptLength, 1));
  const begins = tokenizer.beginningOfSequence !== null && one.ids[0] === tokenizer.beginningOfSequence.id;
  const cut = ({ ids }: TokenExample): TokenExample => {
    const head = begins && keptPrompt < promptLength ? 1 : 0;
    const kept = Int32Array.of(
      ...ids.subarray(0, head),
      ...ids.subarray(promptLength - keptPrompt + head, promptLength + maxLength - keptPrompt),
    );
    const labels = kept.map((id, position) => (position < keptPrompt ? UNSUPERVISED : id));
    const tokens = { ids: kept, labels, supervisedTokens: kept.length - keptPrompt };
    return person === undefined ? tokens : { ...tokens, person };
  };
  const pair = { chosen: cut(one), rejected: cut(other) };
  return pair.chosen.ids.join() === pair.rejected.ids.join() ? null : pair;
}

/**
 * The number of tokens before either answer that both texts share. Where an answer begins inside a token, that token
 * is part of it, and of the other answer what stands in its place.
 */
function commonPrompt(one: TokenExample, other: TokenExample): number {
  const isPrompt = (position: number): boolean =>
    one.labels[position] === UNSUPERVISED &&
    other.labels[position] === UNSUPERVISED &&
    one.ids[position] === other.ids[position];
  let length = 0;
  while (length < one.ids.length && isPrompt(length)) length++;
  return length;
}

/**
 * Templates and tokenizes pairs; the index of each is its place among `examples`.
 * @throws TributaryError `data.all-truncated` when no pair keeps a difference
 */
export function tokenizePreferences(
  examples: readonly PreferenceExample[],
  text: PreferenceText,
): { readonly index: number; readonly tokens: PreferenceTokens }[] {
  const kept = usable(examples, (example) => tokenizePreference(example, text));
  if (kept.length > 0) return kept;
  throw new TributaryError(
    'data.all-truncated',
    `The answers of none of the ${examples.length} pairs differ within ${text.maxLength} tokens.`,
  );
}
