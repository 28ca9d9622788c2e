/** @file Reads CSV (RFC 4180): commas, quotes around fields with commas, quotes or line breaks in them. */

import { readFile } from 'node:fs/promises';
import { TributaryError } from './errors.ts';

/**
 * The records of a file in UTF-8. Lines may end with or without a carriage return; empty lines are passed over.
 * @throws TributaryError `data.broken-line` when a quote is not closed or the file is not UTF-8
 */
export async function readCsv(path: string): Promise<string[][]> {
  let text: string;
  try {
    // A byte-order mark at the start is dropped by the decoder.
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new TributaryError('data.broken-line', `${path} is not UTF-8.`);
  }
  const records = parseCsv(text);
  if (records) return records;
  throw new TributaryError('data.broken-line', `A quote in ${path} is opened and never closed.`);
}

/** The records of a text, or null when a quote is not closed. */
export function parseCsv(text: string): string[][] | null {
  const records: string[][] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*|[^",\r\n][^,\r\n]*))(,|\r?\n|\r|$)/y;
  let record: string[] = [];
  while (field.lastIndex < text.length) {
    const found = field.exec(text);
    if (!found) return null;
    const [, quoted, plain, end] = found;
    record.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ',') {
      if (field.lastIndex === text.length) record.push('');
      else continue;
    }
    if (record.length > 1 || record[0] !== '') records.push(record);
    record = [];
  }
  return records;
}
