/** @file A policy as the window edits it: which control a field gets follows from its JSON Schema. */

import type { Output } from '../../bridge/types.ts';

export type Policy = Output<'privacy.policy'>['policy'];
export type Value = Policy[string];
export type Field = Output<'privacy.policy'>['fields'][number];

export type Control =
  | { readonly kind: 'number'; readonly minimum: number | null }
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  /** Words, one a line; null where `nullable` stands for any. */
  | { readonly kind: 'words'; readonly nullable: boolean }
  | { readonly kind: 'switch' }
  | { readonly kind: 'none' };

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};

/** The control of a field; `none` for one that cannot be edited here, such as the version. */
export function controlOf(field: Field): Control {
  const schema = record(field.schema);
  const variants = Array.isArray(schema.anyOf) ? schema.anyOf.map(record) : [schema];
  const nullable = variants.some(({ type }) => type === 'null');
  const shape = variants.find(({ type }) => type !== 'null') ?? {};
  if (shape.const !== undefined) return { kind: 'none' };
  if (shape.type === 'integer' || shape.type === 'number') {
    return { kind: 'number', minimum: typeof shape.minimum === 'number' ? shape.minimum : null };
  }
  if (shape.type === 'boolean') return { kind: 'switch' };
  if (shape.type === 'array') {
    const items = record(shape.items);
    // Names of metrics are any words to the schema; those that there are are the ones to choose among.
    const known = Array.isArray(items.enum) ? items.enum : nullable ? null : field.fallback;
    if (Array.isArray(known)) return { kind: 'choices', choices: known.map(String) };
    return { kind: 'words', nullable };
  }
  return { kind: 'none' };
}

/** A list of words as a field of text: one a line. */
export const toLines = (value: Value | undefined): string =>
  Array.isArray(value) ? value.map(String).join('\n') : '';

/** What was typed, as a list; empty is null where that stands for any. */
export function fromLines(text: string, nullable: boolean): string[] | null {
  const words = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return words.length === 0 && nullable ? null : words;
}

/** How the language of the window says what stands in a policy. */
export interface Words {
  /** What null means. */
  readonly any: string;
  readonly none: string;
  readonly yes: string;
  readonly no: string;
  /** Of a word in a list, where it has one. */
  readonly names: Readonly<Record<string, string>>;
  readonly list: (items: readonly string[]) => string;
}

/** A value in words, for those who read and do not edit. */
export function inWords(value: Value | undefined, { any, none, yes, no, names, list }: Words): string {
  if (value === null || value === undefined) return any;
  if (typeof value === 'boolean') return value ? yes : no;
  if (Array.isArray(value)) {
    return value.length === 0 ? none : list(value.map(String).map((each) => names[each] ?? each));
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
