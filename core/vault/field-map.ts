/** @file Field maps: which field of a file becomes which field of a row. */

import { TributaryError } from '../errors.ts';

/** By the row's field the file's field, e.g. `{instruction: 'question', response: 'answer'}`. Empty: as it is. */
export type FieldMap = Readonly<Record<string, string>>;

/** Reads `instruction=question,response=answer`. @throws TributaryError `vault.bad-map` */
export function parseFieldMap(text: string): FieldMap {
  const pairs = text.split(',').map((pair) => pair.split('=').map((part) => part.trim()));
  const targets = new Set(pairs.map(([target]) => target));
  if (targets.size < pairs.length || pairs.some((pair) => pair.length !== 2 || pair.includes(''))) {
    throw new TributaryError('vault.bad-map', `"${text}" is not a list of field=column pairs.`);
  }
  return Object.fromEntries(pairs.map(([target, source]) => [target, source]));
}

/** The row that a record becomes, or the name of the first field that it lacks. */
export function applyFieldMap(
  record: Readonly<Record<string, unknown>>,
  map: FieldMap,
): { readonly row: Readonly<Record<string, unknown>> } | { readonly missing: string } {
  const pairs = Object.entries(map);
  if (pairs.length === 0) return { row: record };
  const lacking = pairs.find(([, source]) => !Object.hasOwn(record, source));
  if (lacking !== undefined) return { missing: lacking[1] };
  return { row: Object.fromEntries(pairs.map(([target, source]) => [target, record[source]])) };
}
