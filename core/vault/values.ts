/** @file The values of a record: by the name of a column, and as text. */

import { isObject } from './readers/source.ts';
import type { SourceRow } from './readers/source.ts';

/** The value of a column, or of a field or an element within one: `options.A`, `choices.0`. */
export function valueOf(record: SourceRow, name: string): unknown {
  if (Object.hasOwn(record, name)) return record[name];
  let value: unknown = record;
  for (const part of name.split('.')) {
    if (Array.isArray(value)) {
      const list: readonly unknown[] = value;
      if (!/^\d+$/.test(part) || Number(part) >= list.length) return undefined;
      value = list[Number(part)];
    } else if (isObject(value) && Object.hasOwn(value, part)) value = value[part];
    else return undefined;
  }
  return value;
}

/** A value as text; lists of texts by paragraphs. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return '';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.join('\n\n');
  return JSON.stringify(value);
}
