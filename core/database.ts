/** @file SQLite databases as Tributary keeps them: durable, strict and migrated step by step. */

import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import { TributaryError } from './errors.ts';
import { machine } from './machine.ts';

export type SqliteDatabase = Database.Database;

/**
 * Pages that a database keeps in memory, KiB: SQLite's own choice. better-sqlite3's is 16 MB, which a hub's ledger fills
 * over some thousand rounds.
 */
const CACHE_KIB = 2000;

/** One step from version N to N + 1: SQL, or a function for what SQL cannot say. Released steps never change. */
export type Migration = string | ((database: SqliteDatabase) => void);

/**
 * Opens a database, making it (mode 0600) where there is none, and brings it to the newest version. Journal WAL with synchronous FULL: what a transaction has
 * committed survives a loss of power. Tables should be STRICT. Throws `database.future` for a database that a
 * newer program wrote and `database.damaged` for a file that is none.
 */
export function openDatabase(path: string, migrations: readonly Migration[]): SqliteDatabase {
  let database: SqliteDatabase | undefined;
  try {
    if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600)); // SQLite would let everybody read it
    database = new Database(path);
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma(`cache_size = -${CACHE_KIB}`);
    database.pragma('foreign_keys = ON');
    database.pragma('busy_timeout = 5000');
    migrate(database, migrations);
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof Database.SqliteError && /NOTADB|CORRUPT/.test(error.code)) {
      throw new TributaryError('database.damaged', `${path} is not a database or is damaged.`, {
        cause: error,
      });
    }
    if (error instanceof Database.SqliteError && error.code === 'SQLITE_FULL') {
      throw new TributaryError('disk.full', `No space is left for ${path}.`, { cause: error });
    }
    throw error;
  }
}

/**
 * Runs `work` as one transaction, which is on disk when this returns. Where it throws, or the disk is full
 * (`SQLITE_FULL`), nothing of it has happened.
 */
export function transact<T>(database: SqliteDatabase, work: () => T): T {
  return database
    .transaction(() => {
      const result = work();
      machine.beforeCommit(database);
      return result;
    })
    .immediate();
}

/** Applies the steps a database lacks, each in its own transaction together with its new `user_version`. */
export function migrate(database: SqliteDatabase, migrations: readonly Migration[]): void {
  const version = Number(database.pragma('user_version', { simple: true }));
  if (version > migrations.length) {
    throw new TributaryError(
      'database.future',
      `${database.name} has version ${version}; this program knows versions up to ${migrations.length}.`,
    );
  }
  for (const [index, step] of migrations.entries()) {
    if (index < version) continue;
    database.transaction(() => {
      if (typeof step === 'string') database.exec(step);
      else step(database);
      database.pragma(`user_version = ${index + 1}`);
    })();
  }
}
