/** @file The vault's tables and their steps; a released step never changes. */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { openDatabase } from '../database.ts';
import type { Migration, SqliteDatabase } from '../database.ts';
import { blockWriter } from './blocks.ts';
import { deriveKeys, requireSameKey } from './cipher.ts';
import type { VaultKeys } from './cipher.ts';
import { emptyCounts } from './lineage.ts';
import type { Lineage } from './lineage.ts';

export interface VaultLimits {
  /** Bytes that the database may have; an import beyond it ends with `disk.full`. */
  readonly maximumBytes?: number;
}

const first = `
  CREATE TABLE datasets (
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
  ) STRICT, WITHOUT ROWID;`;

/** AUTOINCREMENT, since a block's place is sealed with it and an id must never come again. */
const encrypted = `
  CREATE TABLE vault (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    key_check BLOB NOT NULL
  ) STRICT;
  CREATE TABLE version (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('importing', 'ready')),
    process INTEGER NOT NULL,
    salt BLOB NOT NULL,
    created INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    contract_hash TEXT NOT NULL,
    lineage TEXT NOT NULL,
    UNIQUE (name, version)
  ) STRICT;
  CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    first INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    content BLOB NOT NULL,
    UNIQUE (version, first)
  ) STRICT;
  CREATE TABLE split (
    version INTEGER NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    first INTEGER NOT NULL,
    assigned BLOB NOT NULL,
    PRIMARY KEY (version, first)
  ) STRICT;`;

function migrations(keys: VaultKeys): readonly Migration[] {
  return [first, (database) => encrypt(database, keys)];
}

const oldDataset = z.object({
  id: z.int(),
  name: z.string(),
  created: z.int(),
  map: z.string().transform((text) => z.record(z.string(), z.string()).parse(JSON.parse(text))),
  rows: z.int(),
  skipped: z.int(),
  contract_hash: z.string(),
});
const oldRow = z.object({ position: z.int(), content: z.string() });
const OLD_PAGE_ROWS = 1000;

/** Rows that lay open until now are sealed, and their pages overwritten, in the one transaction of this step. */
function encrypt(database: SqliteDatabase, keys: VaultKeys): void {
  database.pragma('secure_delete = ON');
  database.exec(encrypted);
  database.prepare('INSERT INTO vault VALUES (1, ?)').run(keys.check);
  const page = database.prepare(
    'SELECT position, content FROM rows WHERE dataset = ? AND position >= ? ORDER BY position LIMIT ?',
  );
  const datasets = z.array(oldDataset).parse(database.prepare('SELECT * FROM datasets ORDER BY id').all());
  for (const { id, name, created, map, rows, skipped, contract_hash } of datasets) {
    const salt = randomBytes(32);
    const lineage: Lineage = {
      file: null,
      mapping: { kind: 'fields', fields: map },
      counts: { ...emptyCounts(), read: rows + skipped, kept: rows, broken: skipped },
    };
    const { lastInsertRowid } = database
      .prepare(
        `INSERT INTO version (name, version, state, process, salt, created, rows, contract_hash, lineage)
         VALUES (?, 1, 'ready', 0, ?, ?, ?, ?, ?)`,
      )
      .run(name, salt, created, rows, contract_hash, JSON.stringify(lineage));
    const writer = blockWriter(database, Number(lastInsertRowid), keys.datasetKey(salt));
    for (let position = 0; ; position += OLD_PAGE_ROWS) {
      const found = z.array(oldRow).parse(page.all(id, position, OLD_PAGE_ROWS));
      for (const { content } of found) writer.add(content, null);
      if (found.length < OLD_PAGE_ROWS) break;
    }
    writer.finish();
  }
  database.exec('DROP TABLE rows; DROP TABLE datasets;');
}

/**
 * Opens the database and brings it to the newest form.
 * @throws TributaryError `vault.wrong-key`, and as `openDatabase` does
 */
export function openVaultDatabase(
  path: string,
  key: Uint8Array,
  { maximumBytes }: VaultLimits,
): { readonly database: SqliteDatabase; readonly keys: VaultKeys } {
  const keys = deriveKeys(key);
  const database = openDatabase(path, migrations(keys));
  try {
    database.pragma('secure_delete = ON');
    const { key_check: check } = z
      .object({ key_check: z.instanceof(Uint8Array) })
      .parse(database.prepare('SELECT key_check FROM vault').get());
    requireSameKey(keys, check);
    if (maximumBytes !== undefined) limitPages(database, Math.floor(maximumBytes / pageBytes(database)));
    return { database, keys };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Lets this connection add so many bytes at most; pages that are free already are not counted. */
export function limitGrowth(database: SqliteDatabase, bytes: number): void {
  const pages = Number(database.pragma('page_count', { simple: true }));
  limitPages(database, pages + Math.floor(bytes / pageBytes(database)));
}

const pageBytes = (database: SqliteDatabase): number =>
  Number(database.pragma('page_size', { simple: true }));

/** Never more than there were before, for a limit may have been set. */
function limitPages(database: SqliteDatabase, pages: number): void {
  const before = Number(database.pragma('max_page_count', { simple: true }));
  database.pragma(`max_page_count = ${Math.max(1, Math.min(before, pages))}`);
}

/** Whether the database at a path was given a key already. */
export function isEncrypted(path: string): boolean {
  if (!existsSync(path)) return false;
  let database: SqliteDatabase | undefined;
  try {
    database = new Database(path, { readonly: true });
    return Number(database.pragma('user_version', { simple: true })) >= 2;
  } catch {
    // What is no database has no rows either; opening it says what is wrong.
    return false;
  } finally {
    database?.close();
  }
}
