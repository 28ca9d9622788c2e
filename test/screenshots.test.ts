/** @file The pictures of the windows that are kept beside the text: each in light and in dark, small, and shown where they are named. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'docs/screenshots');
const pictures = readdirSync(folder);

/** Bytes of a picture at most. */
const MOST = 80_000;

test('each is named by its theme, and small', () => {
  expect(pictures.filter((name) => !/-(light|dark)\.webp$/.test(name))).toEqual([]);
  expect(pictures.filter((name) => statSync(join(folder, name)).size > MOST)).toEqual([]);
});

test('each is there in both themes, but for those in Chinese', () => {
  const named = (theme: string) =>
    pictures
      .filter((name) => name.endsWith(`-${theme}.webp`) && !name.includes('-zh-'))
      .map((name) => name.replace(`-${theme}.webp`, ''))
      .sort();
  expect(named('light').length).toBeGreaterThan(0);
  expect(named('dark')).toEqual(named('light'));
});

test('the README shows pictures that are there', () => {
  const shown = readFileSync(join(root, 'README.md'), 'utf8').match(/docs\/screenshots\/[\w-]+\.webp/g) ?? [];
  expect(shown.length).toBeGreaterThan(0);
  expect(shown.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
