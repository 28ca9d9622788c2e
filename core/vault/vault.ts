/** @file The vault: a site's private rows in a SQLite database that only this site's account may read. */

import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { openDatabase } from '../database.ts';
import type { SqliteDatabase } from '../database.ts';
import { TributaryError } from '../errors.ts';
import { brokenLineError, readJsonLines } from '../jsonl.ts';
import type { BrokenLine } from '../jsonl.ts';
import { applyFieldMap } from './field-map.ts';
import type { FieldMap } from './field-map.ts';

/** A row as it was imported: plain fields, whose meaning the site knows and the vault does not. */
export type VaultRow = Readonly<Record<string, unknown>>;

export interface Dataset {
  readonly name: string;
  /** When it was imported, in seconds since 1970. */
  readonly created: number;
  readonly map: FieldMap;
  readonly rows: number;
  /** Lines left out at the import because they were broken. */
  readonly skipped: number;
  /** SHA-256 over the sorted names of the fields that every row has, as a JSON list. */
  readonly contractHash: string;
}

export interface ImportOptions {
  /** Name of the new dataset. */
  readonly as: string;
  /** Which field of the file becomes which field of a row; fields not named are not stored. */
  readonly map?: FieldMap;
  /** Leave broken lines out and count them instead of giving up. */
  readonly skipBad?: boolean;
  /** Throws `data.broken-line` for a row that is of no use to the site. */
  readonly validate?: (row: VaultRow) => void;
}

export interface Vault {
  /** All datasets in the order of their names. */
  datasets(): Dataset[];
  /** @throws TributaryError `vault.unknown-dataset` */
  dataset(name: string): Dataset;
  /** The rows in the order of the file. @throws TributaryError `vault.unknown-dataset` */
  rows(name: string): Generator<VaultRow>;
  /**
   * Imports a JSONL file in one transaction: either all of it is there afterwards or nothing.
   *
   * @throws TributaryError `data.broken-line`, `data.row-too-long`, `data.empty`, `disk.full`,
   *   `vault.dataset-exists`, `vault.bad-name`, `vault.busy`
   */
  importJsonl(file: string, options: ImportOptions): Promise<Dataset>;
  /** Deletes a dataset and overwrites its pages. @throws TributaryError `vault.unknown-dataset` */
  remove(name: string): void;
  close(): void;
}

const migrations = [
  `CREATE TABLE datasets (
     id INTEGER PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     created INTEGER NOT NULL,
     map TEXT NOT NULL,
     rows INTEGER NOT NULL,
     skipped INTEGER NOT NULL,
     contract_hash TEXT NOT NULL
   ) STRICT;
   CREATE TABLE rows (
     dataset INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
     position INTEGER NOT NULL,
     content TEXT NOT NULL,
     PRIMARY KEY (dataset, position)
   ) STRICT, WITHOUT ROWID;`,
];

/** Rows fetched at a time, so that reading a dataset never holds a statement open. */
const PAGE_ROWS = 256;

const datasetRow = z.object({
  id: z.int(),
  name: z.string(),
  created: z.int(),
  map: z.string().transform((text) => z.record(z.string(), z.string()).parse(JSON.parse(text))),
  rows: z.int(),
  skipped: z.int(),
  contract_hash: z.string(),
});
const contentRow = z.object({
  content: z.string().transform((text) => z.record(z.string(), z.unknown()).parse(JSON.parse(text))),
});

/**
 * Opens the vault at `path`, making it (mode 0600) where there is none. `maximumBytes` limits its size; an
 * import beyond it ends with `disk.full`.
 */
export function openVault(path: string, limits: { readonly maximumBytes?: number } = {}): Vault {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const database = open(path, limits);
  const find = (name: string): z.output<typeof datasetRow> => {
    const found = database.prepare('SELECT * FROM datasets WHERE name = ?').get(name);
    if (found === undefined) {
      throw new TributaryError('vault.unknown-dataset', `There is no dataset named "${name}".`);
    }
    return datasetRow.parse(found);
  };
  return {
    datasets: () =>
      database
        .prepare('SELECT * FROM datasets ORDER BY name')
        .all()
        .map((row) => describe(datasetRow.parse(row))),
    dataset: (name) => describe(find(name)),
    rows: (name) => readRows(database, find(name).id),
    importJsonl: async (file, options) => {
      // A connection of its own: readers see the state before the import until it is complete.
      const connection = open(path, limits);
      try {
        await importRows(connection, file, options);
      } finally {
        connection.close();
      }
      return describe(find(options.as));
    },
    remove: (name) => {
      database.prepare('DELETE FROM datasets WHERE id = ?').run(find(name).id);
      database.pragma('wal_checkpoint(TRUNCATE)');
    },
    close: () => database.close(),
  };
}

function open(path: string, { maximumBytes }: { readonly maximumBytes?: number }): SqliteDatabase {
  const database = openDatabase(path, migrations);
  database.pragma('secure_delete = ON');
  if (maximumBytes !== undefined) {
    const pageBytes = Number(database.pragma('page_size', { simple: true }));
    database.pragma(`max_page_count = ${Math.max(1, Math.floor(maximumBytes / pageBytes))}`);
  }
  return database;
}

function describe({
  name,
  created,
  map,
  rows,
  skipped,
  contract_hash,
}: z.output<typeof datasetRow>): Dataset {
  return { name, created, map, rows, skipped, contractHash: contract_hash };
}

function* readRows(database: SqliteDatabase, dataset: number): Generator<VaultRow> {
  const page = database.prepare(
    'SELECT content FROM rows WHERE dataset = ? AND position >= ? ORDER BY position LIMIT ?',
  );
  for (let position = 0; ; position += PAGE_ROWS) {
    const rows = page.all(dataset, position, PAGE_ROWS);
    for (const row of rows) yield contentRow.parse(row).content;
    if (rows.length < PAGE_ROWS) return;
  }
}

async function importRows(database: SqliteDatabase, file: string, options: ImportOptions): Promise<void> {
  const { as: name, map = {}, skipBad = false } = options;
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}_.-]{0,63}$/u.test(name)) {
    throw new TributaryError('vault.bad-name', `"${name}" cannot name a dataset.`);
  }
  try {
    // The import that is in the way may be this process's own, which waiting here would stop.
    database.pragma('busy_timeout = 0');
    database.exec('BEGIN IMMEDIATE');
    if (database.prepare('SELECT 1 FROM datasets WHERE name = ?').get(name) !== undefined) {
      throw new TributaryError('vault.dataset-exists', `There is a dataset named "${name}" already.`);
    }
    const insertDataset = database.prepare(
      'INSERT INTO datasets (name, created, map, rows, skipped, contract_hash) VALUES (?, ?, ?, 0, 0, ?)',
    );
    const now = Math.floor(Date.now() / 1000);
    const { lastInsertRowid: dataset } = insertDataset.run(name, now, JSON.stringify(map), '');
    const insertRow = database.prepare('INSERT INTO rows (dataset, position, content) VALUES (?, ?, ?)');
    let rows = 0;
    let skipped = 0;
    let fields: Set<string> | undefined;
    for await (const read of readJsonLines(file)) {
      const row = 'record' in read ? admit(read.line, read.record, options) : read;
      if (isBroken(row)) {
        if (!skipBad) throw brokenLineError(file, row);
        skipped++;
        continue;
      }
      insertRow.run(dataset, rows++, JSON.stringify(row.record));
      const present = Object.keys(row.record);
      fields = new Set(fields === undefined ? present : present.filter((field) => fields?.has(field)));
    }
    if (rows === 0) {
      throw new TributaryError('data.empty', `${file} holds no usable row; ${skipped} lines were left out.`);
    }
    database
      .prepare('UPDATE datasets SET rows = ?, skipped = ?, contract_hash = ? WHERE id = ?')
      .run(rows, skipped, contractHash(fields ?? new Set()), dataset);
    database.exec('COMMIT');
  } catch (error) {
    // SQLite rolls some failures back by itself, a full disk among them.
    if (database.inTransaction) database.exec('ROLLBACK');
    throw nameFailure(error, name);
  }
}

interface AdmittedRow {
  readonly record: VaultRow;
}

function admit(line: number, record: VaultRow, { map, validate }: ImportOptions): AdmittedRow | BrokenLine {
  const mapped = applyFieldMap(record, map ?? {});
  if ('missing' in mapped) {
    return { line, code: 'data.broken-line', problem: `has no field "${mapped.missing}"` };
  }
  try {
    validate?.(mapped.row);
    return { record: mapped.row };
  } catch (error) {
    if (!(error instanceof TributaryError)) throw error;
    return { line, code: 'data.broken-line', problem: `does not fit: ${error.message.replace(/\.$/, '')}` };
  }
}

function isBroken(row: AdmittedRow | BrokenLine): row is BrokenLine {
  return 'problem' in row;
}

function contractHash(fields: ReadonlySet<string>): string {
  return createHash('sha256')
    .update(JSON.stringify([...fields].sort()))
    .digest('hex');
}

function nameFailure(error: unknown, name: string): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  if (error.code === 'SQLITE_FULL') {
    return new TributaryError('disk.full', `No space is left to import "${name}"; nothing of it was kept.`, {
      cause: error,
    });
  }
  if (error.code.startsWith('SQLITE_BUSY')) {
    return new TributaryError('vault.busy', 'Another import into this vault is under way.', { cause: error });
  }
  return error;
}
