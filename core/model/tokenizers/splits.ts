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

const llama3: Split = [modern('\\p{N}{1,3}')];
const qwen2: Split = [modern('\\p{N}')];
const digits: Split = [digit, gpt2];

/** Mistral's later tokenizers: words are cut before a capital letter that follows a small one. */
function tekken(): RegExp {
  const [capital, small] = ['[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]', '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'];
  const before = '[^\\r\\n\\p{L}\\p{N}]?';
  const words = `${before}${capital}*${small}+|${before}${capital}+${small}*`;
  const others = `\\p{N}| ?[^${S}\\p{L}\\p{N}]+[\\r\\n/]*|${S}*[\\r\\n]+|${S}+(?!\\P{White_Space})|${S}+`;
  return new RegExp(`${words}|${others}`, 'gu');
}

/** What llama.cpp does for models that were converted without a name of their own. */
const unnamed: Split = [/[\p{P}$+<=>^~|]+/gu, gpt2, /\p{N}+/gu, /[0-9]{3}/gu];

/** By the name in GGUF's `tokenizer.ggml.pre`, as llama.cpp defines them; any other is refused. */
export const namedSplits: Readonly<Record<string, Split>> = {
  default: unnamed,
  'gpt-2': [gpt2],
  smollm: digits,
  starcoder: digits,
  refact: digits,
  'command-r': digits,
  'llama-bpe': llama3,
  'llama-v3': llama3,
  llama3,
  qwen2,
  'deepseek-r1-qwen': qwen2,
  stablelm2: qwen2,
  tekken: [tekken()],
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

/** The pattern that `tokenizer.json` files of Llama 3 and Qwen2 hold; they differ in how many digits stay together. */
function published(digits: string): string {
  const words = `[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*`;
  return `(?i:'s|'t|'re|'ve|'m|'ll|'d)|${words}|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
}

/** The name in GGUF files of what a `tokenizer.json` describes; null where none is known to cut all texts alike. */
export function nameOfSplit(split: Split): string | null {
  const sources = (patterns: readonly (RegExp | null)[]) =>
    patterns.map((pattern) => pattern?.source).join('\n');
  const known: readonly (readonly [string, readonly (RegExp | null)[]])[] = [
    ['gpt-2', [gpt2]],
    ['smollm', digits],
    ['llama-bpe', [translatePattern(published('\\p{N}{1,3}'))]],
    ['qwen2', [translatePattern(published('\\p{N}'))]],
  ];
  return known.find(([, patterns]) => sources(patterns) === sources(split))?.[0] ?? null;
}
