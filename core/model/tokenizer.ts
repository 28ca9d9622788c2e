/** @file What every tokenizer offers. */

export interface Encoding {
  readonly ids: readonly number[];
  /** For each token the half-open range [start, end) of UTF-16 units of the text that it covers. */
  readonly offsets: readonly (readonly [number, number])[];
}

export interface Tokenizer {
  readonly vocabularySize: number;
  /** Ends a turn or a text, e.g. `<|im_end|>`. */
  readonly endOfSequence: { readonly id: number; readonly text: string };
  /** Prepended to a whole sequence where the model expects it, or null. */
  readonly beginningOfSequence: { readonly id: number; readonly text: string } | null;
  /** Id that fills a batch; masked, so its value does not matter. */
  readonly padding: number;
  /** `special`: strings of special tokens become their ids (true) or are ordinary text (false). */
  encode(text: string, options: { special: boolean }): Encoding;
  /** Invalid UTF-8 becomes U+FFFD; special tokens are kept unless `skipSpecial`. */
  decode(ids: readonly number[], options?: { skipSpecial?: boolean }): string;
}
