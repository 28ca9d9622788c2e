/** @file What reading a file gives: records in batches, and what is wrong with those that are none. */

import { z } from 'zod';

export const FORMATS = ['csv', 'tsv', 'json', 'jsonl', 'parquet'] as const;
export type Format = (typeof FORMATS)[number];

/** Names as TextDecoder knows them. A byte-order mark is passed over wherever there is one. */
export const ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be', 'windows-1252', 'gb18030'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** A record as the file has it, by the names of its columns. */
export type SourceRow = Readonly<Record<string, unknown>>;

export interface SourceRecord {
  /** Counted from 1: the line of JSON Lines, the row below the header of a table. */
  readonly number: number;
  readonly record: SourceRow;
}

export interface BrokenRecord {
  readonly number: number;
  readonly code: 'data.broken-line' | 'data.row-too-long';
  /** Completes the sentence "Line 3 of rows.jsonl …". */
  readonly problem: string;
}

export interface Batch {
  readonly records: readonly (SourceRecord | BrokenRecord)[];
  /** Bytes of the file read so far. */
  readonly bytes: number;
}

/** What a person may choose in place of what was recognised. */
export const fileChoiceShape = z.strictObject({
  format: z.enum(FORMATS).optional(),
  encoding: z.enum(ENCODINGS).optional(),
  /** Of a table: one character. */
  delimiter: z.string().length(1).optional(),
  /** Of a table: whether its first row names the columns. */
  header: z.boolean().optional(),
});
export type FileChoice = Readonly<z.infer<typeof fileChoiceShape>>;

export interface SourceFile {
  readonly path: string;
  readonly bytes: number;
  readonly format: Format;
  /** Null for Parquet, which has none. */
  readonly encoding: Encoding | null;
  /** How the encoding was told, or that it was chosen. */
  readonly encodingReason: string;
  readonly delimiter: string | null;
  readonly header: boolean;
  /** Names of the columns where the file says them before its rows. */
  readonly columns: readonly string[] | null;
  /** Number of rows where the file says it, else null. */
  readonly rows: number | null;
  /** What its records are called in sentences. */
  readonly unit: 'Line' | 'Row' | 'Element';
  /**
   * Reads the file from its beginning. Throws `data.encoding`, `data.row-too-long` where the reader cannot go on after
   * it, `data.broken-file`, `data.file-changed`, and the signal's reason when it aborts.
   */
  batches(options?: ReadOptions): AsyncGenerator<Batch>;
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
  /** Gets every byte of the file in order; not of Parquet, which is read here and there. */
  readonly onBytes?: (piece: Buffer) => void;
}

/** Longest accepted row in bytes; a longer one is reported without being held in memory. */
export const MAXIMUM_ROW_BYTES = 16 * 1024 * 1024;

export function isBrokenRecord(read: SourceRecord | BrokenRecord): read is BrokenRecord {
  return 'problem' in read;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
