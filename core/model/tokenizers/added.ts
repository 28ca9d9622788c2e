/** @file Tokens that are matched as a whole before a text is cut into pieces. */

export interface AddedToken {
  readonly id: number;
  readonly text: string;
  /** Control tokens are matched only where the caller asks for special tokens; the others always. */
  readonly control: boolean;
}

/** What to do with the parts of a text, in order; ranges are half-open, in UTF-16 units. */
export interface SectionVisitor {
  /** Text between added tokens, never empty. */
  ordinary(start: number, end: number): void;
  token(id: number, start: number, end: number): void;
}

/** Visits the parts of a text; `special` as in `Tokenizer.encode`. */
export type ForEachSection = (text: string, special: boolean, visitor: SectionVisitor) => void;

export function createSections(added: readonly AddedToken[]): ForEachSection {
  const all = matcher(added);
  const literal = matcher(added.filter((token) => !token.control));
  const ids = new Map(added.map((token) => [token.text, token.id]));
  return (text, special, visitor) => {
    const pattern = special ? all : literal;
    let end = 0;
    for (const match of pattern === null ? [] : text.matchAll(pattern)) {
      if (match.index > end) visitor.ordinary(end, match.index);
      end = match.index + match[0].length;
      visitor.token(ids.get(match[0]) ?? 0, match.index, end);
    }
    if (end < text.length) visitor.ordinary(end, text.length);
  };
}

/** Matches any of the tokens, the longest first. */
function matcher(added: readonly AddedToken[]): RegExp | null {
  if (added.length === 0) return null;
  const texts = added.map((token) => token.text).sort((left, right) => right.length - left.length);
  return new RegExp(texts.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g');
}
