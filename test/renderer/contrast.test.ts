/** @file Text can be read on every ground it stands on, in both themes: WCAG 2.2's contrast of the tokens. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const css = readFileSync(join(import.meta.dirname, '../../renderer/styles/tokens.css'), 'utf8');
const pairs = [...css.matchAll(/(--[\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)];
const tokens = new Map(pairs.map(([, name, light, dark]) => [name, { light, dark }]));

/** Relative luminance of `#rrggbb` (WCAG 2.2). */
function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((start) => {
    const value = parseInt(colour.slice(start, start + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(first: string, second: string, theme: 'light' | 'dark'): number {
  const [one, two] = [first, second].map((name) => {
    const token = tokens.get(name);
    if (!token) throw new Error(`${name} is no token.`);
    return luminance(token[theme]);
  });
  return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
}

const grounds = ['--ground', '--surface', '--surface-sunken', '--surface-raised'];
const text: [string, string[]][] = [
  [
    '--text',
    [...grounds, '--accent-soft', '--good-soft', '--warn-soft', '--bad-soft', '--trained', '--found'],
  ],
  ['--text-muted', [...grounds, '--accent-soft', '--good-soft', '--warn-soft', '--bad-soft']],
  ['--accent', [...grounds, '--accent-soft']],
  ['--accent-hover', grounds],
  ['--good', [...grounds, '--good-soft']],
  ['--warn', [...grounds, '--warn-soft']],
  ['--bad', [...grounds, '--bad-soft']],
  ['--on-accent', ['--accent', '--accent-hover']],
  ['--on-bad', ['--bad', '--bad-hover']],
];
const shapes: [string, string[]][] = [
  ['--line-strong', ['--surface', '--ground', '--surface-raised']],
  ['--focus', grounds],
  ...[1, 2, 3, 4, 5, 6].map((index): [string, string[]] => [`--series-${index}`, ['--surface']]),
];

test.each(['light', 'dark'] as const)('text has a contrast of at least 4.5 in the %s theme', (theme) => {
  for (const [ink, places] of text) {
    for (const place of places) {
      expect(contrast(ink, place, theme), `${ink} on ${place}`).toBeGreaterThanOrEqual(4.5);
    }
  }
});

test.each(['light', 'dark'] as const)(
  'lines and curves have a contrast of at least 3 in the %s theme',
  (theme) => {
    for (const [ink, places] of shapes) {
      for (const place of places) {
        expect(contrast(ink, place, theme), `${ink} on ${place}`).toBeGreaterThanOrEqual(3);
      }
    }
  },
);
