/** @file Opens a file of rows: recognises its format, its encoding and its form, and reads it in batches. */

import { extname } from 'node:path';
import { TributaryError } from '../../errors.ts';
import { readPieces, readSlice, stateOf } from './bytes.ts';
import { detectEncoding, textPieces } from './encoding.ts';
import { detectJsonForm, readListBatches, readWholeJson } from './json.ts';
import type { JsonForm } from './json.ts';
import { readJsonLineBatches } from './json-lines.ts';
import { describeParquet, readParquetBatches } from './parquet.ts';
import { detectTable, readTableBatches } from './table.ts';
import type { Batch, FileChoice, Format, ReadOptions, SourceFile } from './source.ts';

/** Bytes of which format, delimiter and header are told. */
const BEGINNING_BYTES = 256 * 1024;

const byExtension: Readonly<Record<string, Format>> = {
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.tab': 'tsv',
  '.json': 'json',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.parquet': 'parquet',
};

/**
 * Recognises a file by its content, and by the end of its name where the content leaves it open.
 * @throws TributaryError `data.unknown-format`, `data.parquet-codec`, `data.broken-file`, `data.empty`,
 *   `file.wrong-kind`; the system's error where there is no file
 */
export async function openSource(path: string, choice: FileChoice = {}): Promise<SourceFile> {
  const { bytes } = await stateOf(path);
  if (bytes === 0) throw new TributaryError('data.empty', `${path} is empty.`);
  const raw = await readSlice(path, 0, BEGINNING_BYTES);
  if ((choice.format ?? (raw.subarray(0, 4).toString('latin1') === 'PAR1' ? 'parquet' : '')) === 'parquet')
    return openParquet(path, bytes);

  const { encoding, reason: encodingReason } =
    choice.encoding === undefined
      ? await detectEncoding(path, bytes)
      : { encoding: choice.encoding, reason: 'It was chosen.' };
  const beginning = new TextDecoder(encoding).decode(raw);
  // Looks at the text, since nothing but text is expected from here on.
  if (beginning.includes('\0')) throw unknownFormat(path);
  const json = detectJsonForm(beginning);
  const named = byExtension[extname(path).toLowerCase()];
  const format = choice.format ?? recogniseText(beginning, named, json);
  const text = { path, bytes, encoding, encodingReason };
  const pieces = (options?: ReadOptions) => textPieces({ path, encoding, pieces: readPieces(path, options) });

  if (format === 'jsonl') {
    return {
      ...text,
      ...{ format, delimiter: null, header: false, columns: null, rows: null, unit: 'Line' },
      batches: (options) =>
        // A line that is not UTF-8 is broken by itself; it need not spoil the file.
        readJsonLineBatches(encoding === 'utf-8' ? rawPieces(path, options) : pieces(options)),
    };
  }
  if (format === 'json') {
    if (json === null) throw new TributaryError('data.broken-file', `${path} is not JSON.`);
    return {
      ...text,
      ...{ format, delimiter: null, header: false, columns: null, rows: null, unit: 'Element' },
      batches: (options) =>
        json.kind === 'list'
          ? readListBatches(pieces(options), { path, skip: json.skip })
          : wholeBatch(path, { encoding, bytes, options }),
    };
  }
  const table = detectTable(beginning, {
    delimiter: choice.delimiter ?? (choice.format === 'tsv' ? '\t' : undefined),
    header: choice.header,
  });
  const { delimiter, header, columns } = table;
  return {
    ...text,
    ...{ format: delimiter === '\t' ? 'tsv' : 'csv', delimiter, header, columns, rows: null, unit: 'Row' },
    batches: (options) => readTableBatches(pieces(options), { ...table, path }),
  };
}

async function openParquet(path: string, bytes: number): Promise<SourceFile> {
  const form = await describeParquet(path);
  return {
    ...{ path, bytes, format: 'parquet', encoding: null, encodingReason: 'Parquet says it by itself.' },
    ...{ delimiter: null, header: true, columns: form.columns, rows: form.rows, unit: 'Row' },
    batches: (options) => readParquetBatches(path, form, options?.signal),
  };
}

function recogniseText(beginning: string, named: Format | undefined, json: JsonForm | null): Format {
  if (named === 'csv' || named === 'tsv') return named;
  if (json === null) return 'csv';
  if (beginning.trimStart().startsWith('[')) return 'json';
  const lines = beginning.trimStart().split('\n', 3);
  const isWhole = (line: string | undefined): boolean => {
    try {
      return line !== undefined && line.trim() !== '' && JSON.parse(line) !== null;
    } catch {
      return false;
    }
  };
  if (lines.length > 1 && isWhole(lines[0])) {
    // One object in one line may be a table by columns; more than one cannot.
    return lines.slice(1).some((line) => line.trim() !== '') || named === 'jsonl' ? 'jsonl' : 'json';
  }
  return named === 'jsonl' ? 'jsonl' : 'json';
}

async function* rawPieces(
  path: string,
  options?: ReadOptions,
): AsyncGenerator<{ readonly text: Buffer; readonly bytes: number }> {
  let bytes = 0;
  for await (const piece of readPieces(path, options)) {
    bytes += piece.length;
    yield { text: piece, bytes };
  }
}

async function* wholeBatch(
  path: string,
  form: { encoding: string; bytes: number; options?: ReadOptions },
): AsyncGenerator<Batch> {
  yield { records: await readWholeJson(path, form), bytes: form.bytes };
}

function unknownFormat(path: string): TributaryError {
  return new TributaryError('data.unknown-format', `${path} is neither text nor Parquet.`);
}
