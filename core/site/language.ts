/** @file The language of a text, by its script or by its most frequent small words. No model and no dictionary. */

import type { Language } from '../federation/data-contract.ts';

/** Scripts that are enough to tell; kana before Han, since Japanese has both. */
const SCRIPTS: readonly (readonly [Language, RegExp])[] = [
  ['ja', /[\p{Script=Hiragana}\p{Script=Katakana}]/gu],
  ['ko', /\p{Script=Hangul}/gu],
  ['zh', /\p{Script=Han}/gu],
  ['ar', /\p{Script=Arabic}/gu],
  ['ru', /\p{Script=Cyrillic}/gu],
];

/** Small words of languages in Latin script, those that another one has too left out. */
const WORDS: Readonly<Partial<Record<Language, ReadonlySet<string>>>> = {
  en: new Set(
    'the and of to is that it for with was this are you not have be by from or what which'.split(' '),
  ),
  de: new Set('der und das ist nicht ein eine mit von zu auf für sich dem den auch wie oder wird'.split(' ')),
  fr: new Set('le les et est des une dans pour que qui pas du sur avec ce sont au ne vous'.split(' ')),
  es: new Set('el los y es las una para con por como más pero su del lo se está qué'.split(' ')),
  it: new Set('il di che è gli una per non sono della con del si più anche alla nel questo'.split(' ')),
  pt: new Set('o os e é uma para não com dos das em um que da do ao mais são você'.split(' ')),
  nl: new Set('het een en van dat niet zijn op met voor aan ook maar wordt bij naar deze wat'.split(' ')),
};

/** Fewer known words than this tell nothing. */
const FEWEST_WORDS = 3;

/** The language that a text is most likely written in; null where there is too little to tell. */
export function languageOf(text: string): Language | null {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  for (const [language, script] of SCRIPTS) {
    const share = (text.match(script)?.length ?? 0) / Math.max(1, letters);
    if (share > (language === 'ja' ? 0.1 : 0.3)) return language;
  }
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  let best: { language: Language; count: number } | null = null;
  for (const [language, known] of Object.entries(WORDS)) {
    const count = words.filter((word) => known.has(word)).length;
    if (count > (best?.count ?? FEWEST_WORDS - 1)) best = { language: language as Language, count };
  }
  return best?.language ?? null;
}
