/** @file Rows that a template refuses, such as turns in an order that the model does not know: left out one by one. */

import { TributaryError } from '../errors.ts';

/** Errors that a template throws for the turns of one row. */
const OF_ONE_ROW: ReadonlySet<string> = new Set(['model.chat-template', 'template.rewrites-turns']);

/**
 * The tokens of each item with its place; without those of which nothing is left and those that the template refuses.
 * Throws the first refusal where no item is left, and whatever else `tokenize` throws.
 */
export function usable<Item, Tokens>(
  items: readonly Item[],
  tokenize: (item: Item) => Tokens | null,
): { readonly index: number; readonly tokens: Tokens }[] {
  let refusal: TributaryError | null = null;
  const kept: { readonly index: number; readonly tokens: Tokens }[] = [];
  for (const [index, item] of items.entries()) {
    try {
      const tokens = tokenize(item);
      if (tokens !== null) kept.push({ index, tokens });
    } catch (thrown) {
      if (!(thrown instanceof TributaryError) || !OF_ONE_ROW.has(thrown.code)) throw thrown;
      refusal ??= thrown;
    }
  }
  if (kept.length === 0 && refusal !== null) throw refusal;
  return kept;
}
