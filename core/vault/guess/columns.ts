/** @file What the columns of a file hold, seen from a sample of its rows. */

import type { ColumnKind } from '../column-kinds.ts';
import { isObject } from '../readers/source.ts';
import type { SourceRow } from '../readers/source.ts';
import { textOf } from '../values.ts';

export interface Column {
  readonly name: string;
  readonly kind: ColumnKind;
  /** Share of the sample's rows that hold something here. */
  readonly filled: number;
  /** Distinct values in the sample, and their mean length in characters. */
  readonly distinct: number;
  readonly meanLength: number;
}

/** The columns of a sample in the order in which they come up. */
export function describeColumns(rows: readonly SourceRow[]): Column[] {
  const names = new Set(rows.flatMap((row) => Object.keys(row)));
  return [...names].map((name) => {
    const values = rows.map((row) => row[name]);
    const texts = values.map(textOf);
    const filled = texts.filter((text) => text.trim() !== '');
    const length = filled.reduce((sum, text) => sum + text.length, 0);
    return {
      name,
      kind: kindOf(values.filter((value) => textOf(value).trim() !== '')),
      filled: rows.length === 0 ? 0 : filled.length / rows.length,
      distinct: new Set(filled).size,
      meanLength: filled.length === 0 ? 0 : length / filled.length,
    };
  });
}

function kindOf(values: readonly unknown[]): ColumnKind {
  if (values.length === 0) return 'empty';
  const all = (test: (value: unknown) => boolean): boolean => values.every(test);
  if (all(isMessages)) return 'messages';
  if (all(Array.isArray)) return 'list';
  if (all(isObject)) return 'object';
  if (all((value) => typeof value === 'boolean')) return 'boolean';
  const isNumber = (value: unknown): boolean =>
    typeof value === 'number' || (typeof value === 'string' && /^[-+]?\d+([.,]\d+)?$/.test(value.trim()));
  return all(isNumber) ? 'number' : 'text';
}

/** A list of messages, also as the JSON text that tables hold. */
function isMessages(value: unknown): boolean {
  const list = typeof value === 'string' && /^\s*\[\s*\{/.test(value) ? parse(value) : value;
  return (
    Array.isArray(list) &&
    list.length > 0 &&
    list.every(
      (item) =>
        isObject(item) &&
        typeof (item.role ?? item.from) === 'string' &&
        typeof (item.content ?? item.value ?? item.text) === 'string',
    )
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
