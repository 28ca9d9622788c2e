/** @file Unicode composition that remembers where each unit came from. */

export interface Normalised {
  readonly text: string;
  /** For each UTF-16 unit of `text`, the range of the original that it came from; null where nothing changed. */
  readonly origin: readonly (readonly [number, number])[] | null;
}

/** A character with the marks that follow it, or a run of Hangul letters: composition never crosses these. */
const cluster = /[\u1100-\u11ff\uac00-\ud7a3]+\p{M}*|\p{M}+|[^\p{M}]\p{M}*/gu;

/** NFC of a text. */
export function composed(text: string): Normalised {
  const whole = text.normalize('NFC');
  if (whole === text) return { text, origin: null };
  const origin: [number, number][] = [];
  let result = '';
  for (const match of text.matchAll(cluster)) {
    const part = match[0].normalize('NFC');
    const range: [number, number] = [match.index, match.index + match[0].length];
    result += part;
    for (let unit = 0; unit < part.length; unit++) origin.push(range);
  }
  return { text: result, origin };
}
