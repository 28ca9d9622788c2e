/** @file Databases: durable settings, migrations one by one, and files that are none. */

import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase, transact } from '../core/database.ts';
import type { Migration } from '../core/database.ts';
import { toTributaryError } from '../core/errors.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-database-'));
  path = join(folder, 'some.sqlite');
});
afterEach(() => rmSync(folder, { recursive: true }));

const steps: Migration[] = [
  'CREATE TABLE sites (name TEXT PRIMARY KEY) STRICT',
  (database) => {
    database.exec('ALTER TABLE sites ADD COLUMN rows INTEGER NOT NULL DEFAULT 0; UPDATE sites SET rows = 7');
  },
];

describe('database', () => {
  it('keeps what is committed, enforces references and keeps 2 MB of its pages in memory', () => {
    const database = openDatabase(path, steps);
    const pragma = (name: string): unknown => database.pragma(name, { simple: true });
    expect([pragma('journal_mode'), pragma('synchronous'), pragma('foreign_keys')]).toEqual(['wal', 2, 1]);
    expect(pragma('cache_size')).toBe(-2000);
    database.close();
  });

  it('is for this account alone, with all its files', () => {
    const database = openDatabase(path, steps);
    const modes = readdirSync(folder).map((name) => statSync(join(folder, name)).mode & 0o777);
    expect(modes).toEqual([0o600, 0o600, 0o600]); // the database, its journal, its index
    database.close();
  });

  it('is brought forward with its rows', () => {
    const old = openDatabase(path, steps.slice(0, 1));
    old.exec("INSERT INTO sites VALUES ('a')");
    old.close();
    const database = openDatabase(path, steps);
    expect(database.prepare('SELECT * FROM sites').all()).toEqual([{ name: 'a', rows: 7 }]);
    database.close();
  });

  it('stays at its version when a step fails', () => {
    expect(() => openDatabase(path, [...steps, 'CREATE TABLE half (x) STRICT'])).toThrow();
    const database = openDatabase(path, steps);
    expect(database.pragma('user_version', { simple: true })).toBe(2);
    database.close();
  });

  it('keeps nothing of a transaction for which the disk has no room, and takes the next', () => {
    const database = openDatabase(path, steps);
    const add = database.prepare('INSERT INTO sites (name) VALUES (? || hex(zeroblob(3000)))');
    const names = database.prepare('SELECT substr(name, 1, 1) AS name FROM sites').pluck();
    const addAll = (all: readonly string[]): void =>
      transact(database, () => all.forEach((name) => add.run(name)));
    addAll(['a']);
    database.pragma('max_page_count = 8');
    let reason: unknown;
    try {
      addAll(['b', 'c', 'd']);
    } catch (thrown) {
      reason = thrown;
    }
    expect(toTributaryError(reason)).toMatchObject({ code: 'disk.full', retryable: true });
    expect(names.all()).toEqual(['a']);
    expect(database.inTransaction).toBe(false);
    database.pragma('max_page_count = 1000');
    addAll(['b', 'c', 'd']);
    expect(names.all()).toEqual(['a', 'b', 'c', 'd']);
    database.close();
  });

  it('of a newer program is left alone', () => {
    openDatabase(path, steps).close();
    expect(() => openDatabase(path, steps.slice(0, 1))).toThrow(
      expect.objectContaining({ code: 'database.future' }),
    );
  });

  it('that is another file is named', () => {
    writeFileSync(path, 'not a database, though long enough to be read as one'.repeat(40));
    expect(() => openDatabase(path, steps)).toThrow(expect.objectContaining({ code: 'database.damaged' }));
  });
});
