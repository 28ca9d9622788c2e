/** @file Tables as text (CSV, TSV and their kin): the delimiter, whether there is a header, the rows. */

import { CsvError, parse } from 'csv-parse';
import { TributaryError } from '../../errors.ts';
import type { Batch, BrokenRecord, SourceRecord } from './source.ts';
import { MAXIMUM_ROW_BYTES } from './source.ts';

const DELIMITERS = [',', '\t', ';', '|'];
/** Rows of which a table is judged. */
const JUDGED_ROWS = 50;

export interface TableForm {
  readonly delimiter: string;
  readonly header: boolean;
  readonly columns: readonly string[];
}

/** How a table is written, told by its beginning; what is given is taken as it is. */
export function detectTable(
  beginning: string,
  chosen: { readonly delimiter?: string; readonly header?: boolean },
): TableForm {
  const delimiter = chosen.delimiter ?? detectDelimiter(beginning);
  const rows = splitRows(beginning, delimiter);
  const [first = [], ...others] = rows;
  const header = chosen.header ?? looksLikeHeader(first, others);
  return {
    delimiter,
    header,
    columns: header ? distinctNames(first) : first.map((_, at) => `column ${at + 1}`),
  };
}

/** The one that cuts most rows into the same number of fields, and into most fields where several do. */
function detectDelimiter(text: string): string {
  let best = { delimiter: ',', agreement: 0, fields: 1 };
  for (const delimiter of DELIMITERS) {
    const counts = new Map<number, number>();
    const rows = splitRows(text, delimiter);
    for (const { length } of rows) counts.set(length, (counts.get(length) ?? 0) + 1);
    const [fields, count] = [...counts].sort(([a, m], [b, n]) => n - m || b - a)[0] ?? [1, 0];
    const agreement = fields > 1 ? count / rows.length : 0;
    if (agreement > best.agreement + 0.05 || (agreement > best.agreement - 0.05 && fields > best.fields))
      best = { delimiter, agreement, fields };
  }
  return best.delimiter;
}

/** Rows of a beginning, quotes understood; the last one may be cut off and is left out where others are. */
function splitRows(text: string, delimiter: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let quoted = false;
  for (let at = 0; at < text.length && rows.length < JUDGED_ROWS; at++) {
    const character = text[at];
    if (quoted) {
      if (character !== '"') field += character;
      else if (text[at + 1] === '"') field += text[at++];
      else quoted = false;
    } else if (character === '"' && field === '') quoted = true;
    else if (character === delimiter) {
      row.push(field);
      field = '';
    } else if (character === '\n') {
      row.push(field.replace(/\r$/, ''));
      if (row.length > 1 || row[0] !== '') rows.push(row);
      row = [];
      field = '';
    } else field += character;
  }
  if (rows.length === 0 && (row.length > 0 || field !== '')) rows.push([...row, field]);
  return rows;
}

/** Names are short, filled, all different, no numbers and no sentences, and do not come again among the values. */
function looksLikeHeader(first: readonly string[], others: readonly (readonly string[])[]): boolean {
  const names = first.map((name) => name.trim());
  const isName = (name: string): boolean =>
    name !== '' &&
    name.length <= 64 &&
    name.split(/\s+/).length <= 6 &&
    !/[.?!。？！]$/.test(name) &&
    !isNumber(name);
  if (!names.every(isName)) return false;
  if (new Set(names).size === names.length) return true;
  // A header may name two columns alike; a row of values would look like the rows below it.
  return !others.some((row) => row.some((value, at) => value.trim() === names[at]));
}

function isNumber(text: string): boolean {
  return /^[-+]?[\d.,]+%?$/.test(text);
}

/** Names as they are, empty ones numbered, equal ones told apart: "answer", "answer (2)". */
export function distinctNames(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((raw, at) => {
    const name = raw.trim() || `column ${at + 1}`;
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name} (${count})`;
  });
}

/**
 * The rows of a table. A row with more or fewer fields than the header is broken; empty rows are passed over.
 * @throws TributaryError `data.row-too-long` for a row, as a rule one whose quote is never closed, `data.broken-file`
 */
export async function* readTableBatches(
  pieces: AsyncIterable<{ readonly text: Buffer; readonly bytes: number }>,
  { path, delimiter, header, columns }: TableForm & { readonly path: string },
): AsyncGenerator<Batch> {
  const parser = parse({
    delimiter,
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: MAXIMUM_ROW_BYTES,
  });
  let ready: string[][] = [];
  parser.on('data', (row: string[]) => ready.push(row));
  const ended = new Promise<void>((resolve, reject) => {
    parser.once('end', resolve);
    parser.once('error', reject);
  });
  ended.catch(() => undefined); // told by the write that failed
  let number = header ? -1 : 0;
  const take = (): (SourceRecord | BrokenRecord)[] => {
    const records: (SourceRecord | BrokenRecord)[] = [];
    for (const row of ready) {
      number++;
      if (number > 0) records.push(toRecord(row, number, columns));
    }
    ready = [];
    return records;
  };
  let read = 0;
  try {
    for await (const { text, bytes } of pieces) {
      await new Promise<void>((resolve, reject) => {
        parser.write(text, (error) => (error ? reject(error) : resolve()));
      });
      read = bytes;
      yield { records: take(), bytes };
    }
    parser.end();
    await ended;
  } catch (error) {
    throw error instanceof CsvError ? nameCsvError(error, path, number + ready.length + 1) : error;
  } finally {
    parser.destroy();
  }
  if (ready.length > 0) yield { records: take(), bytes: read };
}

function toRecord(
  row: readonly string[],
  number: number,
  columns: readonly string[],
): SourceRecord | BrokenRecord {
  const width = columns.length;
  const surplus = row.length > width && row.slice(width).some((field) => field !== '');
  if (row.length < width || surplus) {
    const problem = `has ${row.length} fields where the table has ${width} columns`;
    return { number, code: 'data.broken-line', problem };
  }
  const record: Record<string, string> = {};
  for (let at = 0; at < width; at++) record[columns[at]] = row[at];
  return { number, record };
}

function nameCsvError(error: CsvError, path: string, row: number): TributaryError {
  if (error.code === 'CSV_MAX_RECORD_SIZE') {
    const what = `Row ${row} of ${path} is longer than ${MAXIMUM_ROW_BYTES} bytes; a quote may have been opened and never closed.`;
    return new TributaryError('data.row-too-long', what);
  }
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') {
    return new TributaryError(
      'data.broken-file',
      `A quote in row ${row} of ${path} is opened and never closed.`,
    );
  }
  // The library's own message quotes the row, which has no place in a log.
  return new TributaryError(
    'data.broken-file',
    `Row ${row} of ${path} cannot be read as a table (${error.code}).`,
  );
}
