/** @file Pre-tokenisation: the patterns that cut a text into the pieces within which tokens are merged. */

/**
 * Patterns applied one after the other, each to the pieces of the one before; matches and what lies between them are
 * both pieces. `\s` is written as Unicode's White_Space: JavaScript's own differs in U+0085 and U+FEFF.
 */
export type Split = readonly RegExp[];

const S = '\\p{White_Space}';
const gpt2 = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${S}\\p{L}\\p{N}]+|${S}+(?!\\P{White_Space})|${S}+`,
  'gu',
);
const digit = /\p{N}/gu;

/** Llama 3 and Qwen2 differ only in how many digits stay together. */
function modern(digits: string): RegExp {
  const contraction = "'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])";
  const words = `[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^${S}\\p{L}\\p{N}]+[\\r\\n]*`;
  return new RegExp(`${contraction}|${words}|${S}*[\\r\\n]+|${S}+(?!\\P{White_Space})|${S}+`, 'gu');
}

/** By the name in GGUF's `tokenizer.ggml.pre`, as llama.cpp defines them. */
export const namedSplits: Readonly<Record<string, Split>> = {
  smollm: [digit, gpt2],
  'gpt-2': [gpt2],
  'llama-bpe': [modern('\\p{N}{1,3}')],
  qwen2: [modern('\\p{N}')],
};

/** By the kind of step in `tokenizer.json`. */
export const digitSplit = digit;
export const gpt2Split = gpt2;

/** Letters that fold to the same as an ASCII letter, beside its two cases. */
const foldsTo: Readonly<Record<string, string>> = { s: 'ſ', k: '\u212a' };

/**
 * Translates a pattern of `tokenizer.json` (Oniguruma's dialect) to JavaScript: `\s` and `\S` by White_Space, and the
 * group `(?i:…)` by classes of both cases. Null where JavaScript has no such construct.
 */
export function translatePattern(pattern: string): RegExp | null {
  const spaced = pattern.replace(/\\[\s\S]/g, (escape) =>
    escape === '\\s' ? S : escape === '\\S' ? '\\P{White_Space}' : escape,
  );
  const folded = spaced.replace(/\(\?i:([^()[\]\\]*)\)/g, (_, body: string) => {
    const classes = body.replace(/[a-z]/gi, (letter) => {
      const lower = letter.toLowerCase();
      return `[${lower}${lower.toUpperCase()}${foldsTo[lower] ?? ''}]`;
    });
    return `(?:${classes})`;
  });
  try {
    return new RegExp(folded, 'gu');
  } catch {
    return null;
  }
}

/** Calls `visit` with the half-open range of every piece of text[start, end), in order. */
export function forEachPiece(split: Split, text: string, visit: (start: number, end: number) => void): void {
  const descend = (part: string, base: number, step: number): void => {
    if (step === split.length) {
      visit(base, base + part.length);
      return;
    }
    let end = 0;
    for (const match of part.matchAll(split[step])) {
      if (match[0] === '') continue;
      if (match.index > end) descend(part.slice(end, match.index), base + end, step + 1);
      end = match.index + match[0].length;
      descend(match[0], base + match.index, step + 1);
    }
    if (end < part.length) descend(part.slice(end), base + end, step + 1);
  };
  if (text !== '') descend(text, 0, 0);
}
