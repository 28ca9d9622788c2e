/**
 * @file Sentences that the program writes in English: why a site is not further, why a plan is refused. They are kept in
 * databases and ledgers and come from other machines, so a window knows them by their form and says them anew.
 */

/** A form in English and in another language, with `{names}` for what is filled in, such as `waiting for {sites}`. */
export type Form = readonly [english: string, other: string];

export interface Translator {
  /** The sentence in the other language; as it is where its form is not known. */
  (sentence: string): string;
}

const PLACE = /\{(\w+)\}/g;

/** A value may be a sentence itself: `every site has declined; {reasons}`. */
export function translator(forms: readonly Form[]): Translator {
  const known = [...forms]
    // What is more particular is tried first: the form with more letters of its own.
    .sort(([a], [b]) => ownLength(b) - ownLength(a))
    .map(([english, other]) => ({ pattern: patternOf(english), other }));

  const translate: Translator = (sentence) => {
    for (const { pattern, other } of known) {
      const found = pattern.exec(sentence);
      if (found === null) continue;
      return other.replace(PLACE, (_, name: string) => translate(found.groups?.[name] ?? ''));
    }
    // A code before a sentence says the same to machines.
    const coded = /^[a-z]+(?:\.[a-z-]+)+: (?<rest>.+)$/su.exec(sentence);
    if (coded?.groups) return translate(coded.groups['rest']);
    for (const [between, joined] of [
      ['; ', '；'],
      ['. ', '。'],
      [', and ', '，'],
      [', ', '，'],
      [': ', '：'],
    ]) {
      const parts = sentence.split(between);
      if (parts.length === 1) continue;
      const said = parts.map(translate);
      if (said.some((part, at) => part !== parts[at])) return said.join(joined);
    }
    return sentence;
  };
  return translate;
}

function ownLength(form: string): number {
  return form.replace(PLACE, '').length;
}

function patternOf(form: string): RegExp {
  const parts = form.split(PLACE);
  const body = parts
    .map((part, at) => (at % 2 === 1 ? `(?<${part}>.+?)` : part.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')))
    .join('');
  return new RegExp(`^${body}$`, 'su');
}
