/** @file Rows in sealed blocks: written one after the other, read from any position on. */

import { z } from 'zod';
import type { SqliteDatabase } from '../database.ts';
import { openBlock, sealBlock } from './cipher.ts';

/** A block ends with whichever comes first: few enough rows for a page, enough bytes for the cipher to run fast. */
const BLOCK_ROWS = 256;
const BLOCK_BYTES = 64 * 1024;

/** Between a row's person and its text, neither of which holds one. */
const SEPARATOR = '\t';
const NEWLINE = 0x0a;

export interface BlockWriter {
  /** Adds a row: JSON in one line, and the hash of its person. */
  add(json: string, person: string | null): void;
  finish(): void;
  /** Rows added so far. */
  rows(): number;
}

/** Writes the blocks of one version of a dataset, in the transaction of the caller. */
export function blockWriter(database: SqliteDatabase, version: number, key: Uint8Array): BlockWriter {
  const insert = database.prepare('INSERT INTO block (version, first, rows, content) VALUES (?, ?, ?, ?)');
  let lines: string[] = [];
  let size = 0;
  let first = 0;
  const flush = (): void => {
    if (lines.length === 0) return;
    const place = { dataset: version, first, rows: lines.length };
    insert.run(version, first, lines.length, sealBlock(key, place, Buffer.from(lines.join('\n'))));
    first += lines.length;
    lines = [];
    size = 0;
  };
  return {
    add: (json, person) => {
      lines.push(`${person ?? ''}${SEPARATOR}${json}`);
      size += json.length;
      if (lines.length === BLOCK_ROWS || size >= BLOCK_BYTES) flush();
    },
    finish: flush,
    rows: () => first + lines.length,
  };
}

export interface OpenedBlock {
  readonly first: number;
  readonly rows: number;
  /** A line a row: the person's hash or nothing, a tab, the row as JSON. */
  readonly text: Buffer;
}

const blockRow = z.object({ first: z.int(), rows: z.int(), content: z.instanceof(Uint8Array) });

/** The blocks from the one that holds a position on, each read by itself so that no statement stays open. */
export function* readBlocks(
  database: SqliteDatabase,
  { version, key, from = 0 }: { version: number; key: Uint8Array; from?: number },
): Generator<OpenedBlock> {
  const start = database.prepare(
    'SELECT first, rows, content FROM block WHERE version = ? AND first <= ? ORDER BY first DESC LIMIT 1',
  );
  const next = database.prepare('SELECT first, rows, content FROM block WHERE version = ? AND first = ?');
  for (let found = start.get(version, from); found !== undefined;) {
    const { first, rows, content } = blockRow.parse(found);
    yield { first, rows, text: openBlock(key, { dataset: version, first, rows }, content) };
    found = next.get(version, first + rows);
  }
}

export interface BlockLine {
  readonly person: string | null;
  readonly json: string;
}

/** The rows of a block. */
export function* linesOf({ text }: OpenedBlock): Generator<BlockLine> {
  for (let start = 0; start < text.length;) {
    const found = text.indexOf(NEWLINE, start);
    const end = found < 0 ? text.length : found;
    yield parseLine(text.toString('utf8', start, end));
    start = end + 1;
  }
}

export function parseLine(line: string): BlockLine {
  const end = line.indexOf(SEPARATOR);
  return { person: end === 0 ? null : line.slice(0, end), json: line.slice(end + 1) };
}
