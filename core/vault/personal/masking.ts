/** @file Replaces findings in a text and in the texts of a row; nothing else of them changes. */

import type { VaultRow } from '../mapping.ts';
import type { Finding } from './find.ts';
import { placeholderOf } from './kinds.ts';

/** The text with each finding replaced by its kind. @param findings in order, none over another */
export function maskText(text: string, findings: readonly Finding[]): string {
  let masked = '';
  let at = 0;
  for (const { kind, start, end } of findings) {
    masked += text.slice(at, start) + placeholderOf(kind);
    at = end;
  }
  return masked + text.slice(at);
}

/** A finding that may be shown: its first character and its form. */
export function veil(found: string): string {
  let first = true;
  return found.replace(/[\p{L}\p{N}]+/gu, (word) => {
    const [beginning] = word;
    const shown = first ? `${beginning}•••` : '•••';
    first = false;
    return shown;
  });
}

/** The row with every text in it, also in lists and objects, as `change` makes it. */
export function changeTexts(row: VaultRow, change: (text: string, field: string) => string): VaultRow {
  return Object.fromEntries(
    Object.entries(row).map(([field, value]) => [field, changeIn(value, (text) => change(text, field))]),
  );
}

function changeIn(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => changeIn(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, changeIn(inner, change)]));
}
