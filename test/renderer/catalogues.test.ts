/** @file The catalogues hold the same strings: what the compiler cannot see of it. */

import { expect, test } from 'vitest';
import { en } from '../../renderer/strings/en.ts';
import { zh } from '../../renderer/strings/zh.ts';

/** Every string of a catalogue by its path; a function is called with words that can be found again. */
function strings(value: unknown, path = ''): [string, string][] {
  if (typeof value === 'string') return [[path, value]];
  if (typeof value === 'function') {
    const words = Array.from({ length: value.length }, (_, index) => `‹${index}›`);
    return [[path, String((value as (...words: string[]) => string)(...words))]];
  }
  return Object.entries(value as object).flatMap(([key, inner]) => strings(inner, `${path}.${key}`));
}

const english = strings(en);
const chinese = strings(zh);

test('English and Chinese have the same strings', () => {
  expect(chinese.map(([path]) => path).sort()).toEqual(english.map(([path]) => path).sort());
});

test('no string is empty or has blanks at its ends', () => {
  for (const [path, text] of [...english, ...chinese]) expect(text, path).toMatch(/^\S(.*\S)?$/s);
});

test('a string that is filled in uses all it is given, in both languages', () => {
  const filled = new Map(english.map(([path, text]) => [path, text.match(/‹\d›/g)?.sort() ?? []]));
  for (const [path, text] of chinese) {
    expect([...new Set(text.match(/‹\d›/g))].sort(), path).toEqual([...new Set(filled.get(path))]);
  }
});

test('Chinese strings are Chinese, but for names', () => {
  // What is filled in alone, with signs between, has no words.
  const hasWords = (text: string): boolean => /\p{L}/u.test(text.replace(/‹\d+›/g, ''));
  const untranslated = chinese.filter(([, text]) => hasWords(text) && !/\p{Script=Han}/u.test(text));
  const names = new Set(english.map(([path, text]) => `${path} ${text}`));
  for (const [path, text] of untranslated) expect(names, path).toContain(`${path} ${text}`);
  expect(untranslated.length).toBeLessThan(english.length / 10);
});
