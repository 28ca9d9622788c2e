/** @file What a file holds before it is imported: its form, a few rows, and how they may be mapped. */

import { basename } from 'node:path';
import { TributaryError } from '../errors.ts';
import { describeColumns } from './guess/columns.ts';
import type { Column } from './guess/columns.ts';
import { guessMappings } from './guess/guess.ts';
import type { GuessedMapping } from './guess/guess.ts';
import { openSource } from './readers/open.ts';
import { isBrokenRecord } from './readers/source.ts';
import type { Encoding, FileChoice, Format, SourceRow } from './readers/source.ts';

export type { Column } from './guess/columns.ts';
export type { GuessedMapping } from './guess/guess.ts';

export interface Inspection {
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
  readonly format: Format;
  /** Null for Parquet. */
  readonly encoding: Encoding | null;
  readonly encodingReason: string;
  readonly delimiter: string | null;
  readonly header: boolean;
  readonly columns: readonly Column[];
  /** The first rows, as the file has them. */
  readonly sample: readonly SourceRow[];
  /** Number of rows; estimated from the bytes that the sample took unless `exact`. */
  readonly rows: { readonly count: number; readonly exact: boolean };
  /** The likeliest mapping, or null where none fits. */
  readonly guess: GuessedMapping | null;
  readonly others: readonly GuessedMapping[];
  /** Columns that may tell persons and documents apart. */
  readonly person: string | null;
  readonly document: string | null;
  /** Records of the beginning that cannot be read, as sentences. */
  readonly problems: readonly string[];
}

/** Rows of which a file is judged, and how many of them are shown. */
const JUDGED_ROWS = 500;
const SHOWN_ROWS = 20;
const SHOWN_PROBLEMS = 5;

/**
 * Reads the beginning of a file and judges it.
 * @throws TributaryError as `openSource` does, and `data.empty` where nothing in it is a row
 */
export async function inspectFile(path: string, choice: FileChoice = {}): Promise<Inspection> {
  const source = await openSource(path, choice);
  const rows: SourceRow[] = [];
  const problems: string[] = [];
  let records = 0;
  let bytes = 0;
  let whole = true;
  for await (const batch of source.batches()) {
    bytes = batch.bytes;
    records += batch.records.length;
    for (const read of batch.records) {
      if (!isBrokenRecord(read)) rows.push(read.record);
      else if (problems.length < SHOWN_PROBLEMS)
        problems.push(`${source.unit} ${read.number} ${read.problem}.`);
    }
    if (rows.length < JUDGED_ROWS) continue;
    whole = bytes >= source.bytes;
    break;
  }
  if (rows.length === 0) {
    const detail = problems.length > 0 ? ` ${problems[0]}` : '';
    throw new TributaryError('data.empty', `${path} holds no rows.${detail}`);
  }
  const judged = rows.slice(0, JUDGED_ROWS);
  const { mappings, person, document } = guessMappings(judged);
  const estimate = whole ? records : Math.round((records * source.bytes) / Math.max(1, bytes));
  const { format, encoding, encodingReason, delimiter, header } = source;
  return {
    ...{
      path,
      name: basename(path),
      bytes: source.bytes,
      format,
      encoding,
      encodingReason,
      delimiter,
      header,
    },
    columns: describeColumns(judged),
    sample: judged.slice(0, SHOWN_ROWS),
    rows: { count: source.rows ?? estimate, exact: source.rows !== null || whole },
    guess: mappings[0] ?? null,
    others: mappings.slice(1),
    ...{ person, document, problems },
  };
}
