/** @file The text of tokens that come one by one: whole characters only, and nothing of a stop string. */

import type { Tokenizer } from '../model/tokenizer.ts';

/** What bytes that are no whole character become. */
const REPLACEMENT = '\ufffd';

/** Turns tokens into pieces of text that, joined, are the text of all tokens up to a stop string. */
export class TextStream {
  /** Whether a stop string was met; nothing comes after it. */
  stopped = false;
  readonly #tokenizer: Tokenizer;
  readonly #stops: readonly string[];
  readonly #ids: number[] = [];
  /** Tokens from which on text is decoded, and to which it has been given out. */
  #from = 0;
  #to = 0;
  /** Text that may be the beginning of a stop string. */
  #held = '';

  /** @param stops strings that end the text; empty ones are ignored */
  constructor(tokenizer: Tokenizer, stops: readonly string[] = []) {
    this.#tokenizer = tokenizer;
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /** The text that is certain with this token; often empty. */
  push(token: number): string {
    this.#ids.push(token);
    // Decoded together with the tokens before, since a tokenizer may treat the first of a text differently.
    const known = this.#decode(this.#to);
    const text = this.#decode(this.#ids.length);
    if (text.endsWith(REPLACEMENT)) return '';
    this.#from = this.#to;
    this.#to = this.#ids.length;
    return this.#withoutStops(text.slice(known.length));
  }

  /** What is left when no token follows. */
  end(): string {
    const rest = this.#decode(this.#ids.length).slice(this.#decode(this.#to).length);
    this.#to = this.#ids.length;
    const text = this.#withoutStops(rest) + this.#held;
    this.#held = '';
    return text;
  }

  #decode(end: number): string {
    return this.#tokenizer.decode(this.#ids.slice(this.#from, end), { skipSpecial: true });
  }

  #withoutStops(more: string): string {
    if (this.stopped) return '';
    const text = this.#held + more;
    const found = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.stopped = true;
      this.#held = '';
      return text.slice(0, Math.min(...found));
    }
    const held = Math.max(0, ...this.#stops.map((stop) => beginningAtEnd(text, stop)));
    this.#held = text.slice(text.length - held);
    return text.slice(0, text.length - held);
  }
}

/** Length of the longest beginning of `stop`, short of all of it, with which the text ends. */
function beginningAtEnd(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
