/** @file An example as a person looks at it: its text as the model sees it, in pieces, those marked that are trained on. */

import { UNSUPERVISED } from '../engine/batch.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { Example, PreferenceExample } from './examples.ts';
import type { ModelText } from './model-text.ts';
import { tokenizePreference } from './preference-tokens.ts';
import { tokenizePrompt, tokenizeText } from './tokens.ts';
import type { TokenExample } from './tokens.ts';

export interface Segment {
  readonly text: string;
  /** Whether the model is trained to write it. */
  readonly trained: boolean;
}

export interface ShownText {
  /** The text in order. */
  readonly segments: readonly Segment[];
  readonly tokens: number;
  readonly trainedTokens: number;
  /** Whether it is longer than the longest length and lost tokens. */
  readonly cut: boolean;
}

export interface ShownExample extends ShownText {
  /** Of a pair: the worse answer after the same prompt. */
  readonly rejected: ShownText | null;
}

/** Writes an example as training would, with `maxLength` (also `Infinity`) as the longest length. */
export function showExample(example: Example | PreferenceExample, text: ModelText): ShownExample {
  const kept = textsOf(example, text);
  const whole = textsOf(example, { ...text, maxLength: Infinity });
  if (kept !== null && whole !== null) {
    const [chosen, rejected = null] = kept.map((tokens, at) => show(tokens, whole[at], text.tokenizer));
    return { ...chosen, rejected };
  }
  return showUntrained(example, text);
}

/** The beginning of an example of which nothing is trained on. */
function showUntrained(
  example: Example | PreferenceExample,
  { template, tokenizer, maxLength }: ModelText,
): ShownExample {
  const messages: Example['messages'] =
    example.kind === 'preference'
      ? [...example.prompt, { role: 'assistant', content: example.chosen }]
      : example.messages;
  const ids = tokenizePrompt(template.render({ kind: 'conversation', messages }).text, tokenizer);
  const shown = ids.slice(0, maxLength);
  const segments = [{ text: tokenizer.decode(shown), trained: false }];
  return { segments, tokens: shown.length, trainedTokens: 0, cut: shown.length < ids.length, rejected: null };
}

/** Whether training finds something in an example that the model is to write. */
export function isTrained(example: Example | PreferenceExample, text: ModelText): boolean {
  return textsOf(example, text) !== null;
}

/** Tokens of a conversation, or of the better and the worse answer of a pair; null when nothing of them is trained on. */
function textsOf(example: Example | PreferenceExample, text: ModelText): readonly TokenExample[] | null {
  if (example.kind === 'preference') {
    const pair = tokenizePreference(example, text);
    return pair && [pair.chosen, pair.rejected];
  }
  const tokens = tokenizeText(text.template.render(example), text.tokenizer, text.maxLength);
  return tokens && [tokens];
}

function show(
  { ids, labels, supervisedTokens }: TokenExample,
  whole: TokenExample,
  tokenizer: Tokenizer,
): ShownText {
  const segments: Segment[] = [];
  // A piece is what it adds to the text before it: some tokenizers write a token otherwise at the beginning.
  let before = '';
  for (let start = 0; start < ids.length;) {
    const trained = labels[start] !== UNSUPERVISED;
    let end = start + 1;
    while (end < ids.length && (labels[end] !== UNSUPERVISED) === trained) end++;
    const text = tokenizer.decode([...ids.subarray(0, end)]);
    segments.push({ text: text.slice(before.length), trained });
    before = text;
    start = end;
  }
  return {
    segments,
    tokens: ids.length,
    trainedTokens: supervisedTokens,
    cut: ids.length < whole.ids.length,
  };
}
