/** @file Writes the rows of a dataset as a file for other programs: JSON Lines as they are, or CSV. */

import { writeFileAtomically } from '../files.ts';
import type { VaultRow } from './mapping.ts';
import { textOf } from './values.ts';
import type { Vault } from './vault.ts';

export const EXPORT_FORMATS = ['csv', 'jsonl'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Lines that are written at once. */
const PIECE_CHARACTERS = 64 * 1024;

/**
 * Writes all rows, the whole file or none of it, readable by this account alone.
 * @returns the number of rows
 * @throws TributaryError `vault.unknown-dataset`, `vault.damaged`; the system's error where it cannot be written
 */
export async function exportRows(
  vault: Vault,
  dataset: string,
  to: { path: string; format: ExportFormat },
): Promise<number> {
  const { reference, rows } = vault.dataset(dataset);
  const lines = to.format === 'csv' ? csvLines(vault, reference) : jsonLines(vault.rows(reference));
  await writeFileAtomically(to.path, inPieces(lines));
  return rows;
}

function* jsonLines(rows: Iterable<VaultRow>): Generator<string> {
  for (const row of rows) yield `${JSON.stringify(row)}\n`;
}

/** RFC 4180, with the names of all fields in the first line. */
function* csvLines(vault: Vault, reference: string): Generator<string> {
  const names = new Set<string>();
  for (const row of vault.rows(reference)) for (const name of Object.keys(row)) names.add(name);
  const columns = [...names];
  const line = (values: readonly string[]): string =>
    `${values.map((value) => quote(harmless(value))).join(',')}\r\n`;
  yield line(columns);
  for (const row of vault.rows(reference)) yield line(columns.map((name) => textOf(row[name])));
}

/**
 * A spreadsheet computes a cell that begins like a formula, and some formulas send data elsewhere. An apostrophe before
 * it makes it text (OWASP, CSV injection).
 */
function harmless(value: string): string {
  return /^[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]/.test(value) ? `'${value}` : value;
}

function quote(value: string): string {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

function* inPieces(lines: Iterable<string>): Generator<Buffer> {
  let piece = '';
  for (const line of lines) {
    piece += line;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield Buffer.from(piece);
    piece = '';
  }
  yield Buffer.from(piece);
}
