/** @file SECURITY.md names a test beside each point: the files are there, and the tests have these names. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const page = readFileSync(join(import.meta.dirname, '../SECURITY.md'), 'utf8');
const testsOf = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8');
const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A name as the page has it; `…` stands for any words, such as what a test is repeated with. */
function isNamed(name: string, source: string): boolean {
  const title = name.split('…').map(escaped).join('[^\\n]*');
  return new RegExp(`\\(\\s*(['"\`])${title}\\1`, 'u').test(source);
}

/** The points of the tables, each with the tests beside it. */
const rows = page.split('\n').flatMap((line) => {
  const [, point, tests] = /^ *\| (.+?) +\| (`.+\.test\.ts`: .+?) +\|$/.exec(line) ?? [];
  return point === undefined ? [] : [{ point, tests }];
});

it('has its points in tables', () => expect(rows.length).toBeGreaterThan(20));

it.each(rows)('$point', ({ tests }) => {
  const files = tests.split('; `').map((part) => part.replace(/^`/, ''));
  for (const part of files) {
    const [, file, names] = /^([\w/.-]+\.test\.ts)`: (.+)$/.exec(part) ?? [];
    expect(file, part).toBeDefined();
    const named = [...names.matchAll(/“(.+?)”/g)].map(([, name]) => name);
    expect(named.length, part).toBeGreaterThan(0);
    const missing = named.filter((name) => !isNamed(name, testsOf(file)));
    expect(missing, file).toEqual([]);
  }
});

it('names no file of tests that is not there', () => {
  const named = [...page.matchAll(/`(test\/[\w/.-]+)`/g)].map(([, path]) => path);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((path) => !existsSync(join(import.meta.dirname, '..', path)))).toEqual([]);
});
