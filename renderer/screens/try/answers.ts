/** @file What becomes of the answers while models write, one after the other. */

import type { EventBody, Output } from '../../bridge/types.ts';

type Variant = Output<'try.models'>['variants'][number];

export interface Answer {
  readonly variant: Variant;
  readonly text: string;
  readonly state: 'waiting' | 'writing' | 'done' | 'stopped';
  readonly tokens: number;
  /** Tokens a second. */
  readonly speed: number;
}

type Change =
  | {
      readonly kind: 'piece';
      readonly piece: Pick<EventBody<'tokens'>, 'index' | 'delta' | 'end' | 'tokens' | 'tokensPerSecond'>;
    }
  /** No more will come: what was not finished was stopped. */
  | { readonly kind: 'ended' };

export function answerStates(answers: readonly Answer[], change: Change): Answer[] {
  if (change.kind === 'ended') {
    return answers.map((answer) => (answer.state === 'done' ? answer : { ...answer, state: 'stopped' }));
  }
  const { index, delta, end, tokens = 0, tokensPerSecond = 0 } = change.piece;
  return answers.map((answer, position) => {
    if (position !== index) return answer;
    const text = answer.text + delta;
    return end
      ? { ...answer, text, state: 'done', tokens, speed: tokensPerSecond }
      : { ...answer, text, state: 'writing' };
  });
}

/** Tells variants of one model apart. */
export function variantKey({ run }: Pick<Variant, 'run'>): string {
  return run ?? '';
}

/** What is compared unless something else is chosen: of each kind the newest. Variants come newest first. */
export function usualKeys(variants: readonly Pick<Variant, 'variant' | 'run'>[]): string[] {
  const kinds = ['base', 'local', 'federated'] as const;
  const first = kinds.map((kind) => variants.find(({ variant }) => variant === kind));
  return first.flatMap((variant) => (variant === undefined ? [] : [variantKey(variant)]));
}

/** The other answers, each once, that are rejected where one is preferred: finished, not empty, and not the same. */
export function rejectedBy(answers: readonly Answer[], preferred: number): string[] {
  const chosen = answers[preferred].text.trim();
  if (chosen === '') return [];
  const texts = answers.flatMap(({ text, state }) => (state === 'done' ? [text.trim()] : []));
  return [...new Set(texts)].filter((text) => text !== '' && text !== chosen);
}
