/** @file Porter's stemmer (1980) with the extensions of NLTK, which published ROUGE figures rest on. */

/** Words whose stem the rules get wrong. */
const irregular = new Map(
  Object.entries({
    sky: 'sky',
    skies: 'sky',
    dying: 'die',
    lying: 'lie',
    tying: 'tie',
    news: 'news',
    innings: 'inning',
    inning: 'inning',
    outings: 'outing',
    outing: 'outing',
    cannings: 'canning',
    canning: 'canning',
    howe: 'howe',
    proceed: 'proceed',
    exceed: 'exceed',
    succeed: 'succeed',
  }),
);

/** The stem of a word in lower case. */
export function porterStem(word: string): string {
  const known = irregular.get(word);
  if (known !== undefined) return known;
  if (word.length <= 2) return word;
  return [
    plurals,
    pastAndGerund,
    finalY,
    doubleSuffixes,
    fullAndNess,
    bareSuffixes,
    finalE,
    finalDoubleL,
  ].reduce((stem, step) => step(stem), word);
}

function isConsonant(word: string, index: number): boolean {
  const letter = word[index];
  if (letter === 'y') return index === 0 || !isConsonant(word, index - 1);
  return !'aeiou'.includes(letter);
}

/** Porter's m: how often a vowel is followed by a consonant. */
function measure(stem: string): number {
  let count = 0;
  for (let i = 1; i < stem.length; i++) if (!isConsonant(stem, i - 1) && isConsonant(stem, i)) count++;
  return count;
}

function hasVowel(stem: string): boolean {
  return [...stem].some((_, index) => !isConsonant(stem, index));
}

function endsDouble(word: string): boolean {
  const last = word.length - 1;
  return last > 0 && word[last] === word[last - 1] && isConsonant(word, last);
}

/** Ends consonant, vowel, consonant other than w, x, y; of two letters vowel and consonant are enough. */
function endsShort(word: string): boolean {
  const last = word.length - 1;
  if (last === 1) return !isConsonant(word, 0) && isConsonant(word, 1);
  return (
    last >= 2 &&
    isConsonant(word, last - 2) &&
    !isConsonant(word, last - 1) &&
    isConsonant(word, last) &&
    !'wxy'.includes(word[last])
  );
}

type Rule = readonly [suffix: string, replacement: string, condition?: (stem: string) => boolean];

const positive = (stem: string): boolean => measure(stem) > 0;
const aboveOne = (stem: string): boolean => measure(stem) > 1;

/** Applies the first rule whose suffix fits; where its condition fails, no other is tried. */
function apply(word: string, rules: readonly Rule[], otherwise: (stem: string) => boolean): string {
  const rule = rules.find(([suffix]) => word.endsWith(suffix));
  if (rule === undefined) return word;
  const [suffix, replacement, condition = otherwise] = rule;
  const stem = word.slice(0, word.length - suffix.length);
  return condition(stem) ? stem + replacement : word;
}

/** Step 1a. */
function plurals(word: string): string {
  if (word.length === 4 && word.endsWith('ies')) return word.slice(0, -1);
  const rules: Rule[] = [
    ['sses', 'ss'],
    ['ies', 'i'],
    ['ss', 'ss'],
    ['s', ''],
  ];
  return apply(word, rules, () => true);
}

/** Step 1b. */
function pastAndGerund(word: string): string {
  if (word.endsWith('ied')) return word.slice(0, word.length === 4 ? -1 : -2);
  if (word.endsWith('eed')) return positive(word.slice(0, -3)) ? word.slice(0, -1) : word;
  const suffix = ['ed', 'ing'].find(
    (ending) => word.endsWith(ending) && hasVowel(word.slice(0, word.length - ending.length)),
  );
  if (suffix === undefined) return word;
  const stem = word.slice(0, word.length - suffix.length);
  if (/(at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (endsDouble(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1);
  return measure(stem) === 1 && endsShort(stem) ? `${stem}e` : stem;
}

/** Step 1c, NLTK's: after a consonant that is not the first letter. */
function finalY(word: string): string {
  return apply(word, [['y', 'i']], (stem) => stem.length > 1 && isConsonant(stem, stem.length - 1));
}

const doubleSuffixRules: readonly Rule[] = [
  ['ational', 'ate'],
  ['tional', 'tion'],
  ['enci', 'ence'],
  ['anci', 'ance'],
  ['izer', 'ize'],
  ['bli', 'ble'],
  ['alli', 'al'],
  ['entli', 'ent'],
  ['eli', 'e'],
  ['ousli', 'ous'],
  ['ization', 'ize'],
  ['ation', 'ate'],
  ['ator', 'ate'],
  ['alism', 'al'],
  ['iveness', 'ive'],
  ['fulness', 'ful'],
  ['ousness', 'ous'],
  ['aliti', 'al'],
  ['iviti', 'ive'],
  ['biliti', 'ble'],
  ['fulli', 'ful'],
  // The l belongs to the measured stem here.
  ['logi', 'log', (stem) => positive(`${stem}l`)],
];

/** Step 2. */
function doubleSuffixes(word: string): string {
  if (word.endsWith('alli') && positive(word.slice(0, -4))) return doubleSuffixes(word.slice(0, -2));
  return apply(word, doubleSuffixRules, positive);
}

/** Step 3. */
function fullAndNess(word: string): string {
  const rules: Rule[] = [
    ['icate', 'ic'],
    ['ative', ''],
    ['alize', 'al'],
    ['iciti', 'ic'],
    ['ical', 'ic'],
    ['ful', ''],
    ['ness', ''],
  ];
  return apply(word, rules, positive);
}

const bareSuffixRules: readonly Rule[] = [
  ...['al', 'ance', 'ence', 'er', 'ic', 'able', 'ible', 'ant', 'ement', 'ment', 'ent'].map((suffix): Rule => [
    suffix,
    '',
  ]),
  ['ion', '', (stem) => aboveOne(stem) && /[st]$/.test(stem)],
  ...['ou', 'ism', 'ate', 'iti', 'ous', 'ive', 'ize'].map((suffix): Rule => [suffix, '']),
];

/** Step 4. */
function bareSuffixes(word: string): string {
  return apply(word, bareSuffixRules, aboveOne);
}

/** Step 5a. */
function finalE(word: string): string {
  return apply(word, [['e', '']], (stem) => aboveOne(stem) || (measure(stem) === 1 && !endsShort(stem)));
}

/** Step 5b. */
function finalDoubleL(word: string): string {
  return apply(word, [['ll', 'l']], (stem) => aboveOne(`${stem}l`));
}
