/** @file Templates over columns: "Summarise: {findings}". Two braces stand for one. */

import { textOf } from './values.ts';

const PLACEHOLDER = /\{\{|\}\}|\{([^{}]+)\}/g;

/** The columns that a template names, in their order. */
export function placeholdersOf(template: string): string[] {
  return [...template.matchAll(PLACEHOLDER)].flatMap(([, name]) => (name === undefined ? [] : [name.trim()]));
}

export interface FilledTemplate {
  readonly text: string;
  /** Placeholders with something in them; 1 for a template that has none. */
  readonly filled: number;
  /** The first column that the record lacks. */
  readonly missing: string | undefined;
}

export function fillTemplate(template: string, valueOf: (name: string) => unknown): FilledTemplate {
  let filled = 0;
  let missing: string | undefined;
  const text = template.replace(PLACEHOLDER, (found, raw: string | undefined) => {
    if (raw === undefined) return found[0];
    const value = valueOf(raw.trim());
    if (value === undefined) missing ??= raw.trim();
    const words = textOf(value);
    if (words.trim() !== '') filled++;
    return words;
  });
  return { text, filled: placeholdersOf(template).length === 0 ? 1 : filled, missing };
}
