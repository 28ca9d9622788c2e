/** @file Rows at rest: sealed, bound to their place, and sealed too where an older vault lay open. */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openVault } from '../../core/vault/vault.ts';

let folder: string;
let path: string;
const key = randomBytes(32);
const mapping = { kind: 'fields', fields: {} } as const;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-encryption-'));
  path = join(folder, 'vault.sqlite');
});
afterEach(() => rmSync(folder, { recursive: true }));

async function importSecret(rows: number): Promise<void> {
  const file = join(folder, 'rows.csv');
  const lines = Array.from({ length: rows }, (_, row) => `secret ${row},answer ${row}`);
  writeFileSync(file, ['question,answer', ...lines].join('\n'));
  const vault = openVault(path, { key });
  await vault.importFile(file, { as: 'notes', mapping });
  vault.close();
}

it('holds no text of a row, and opens with its own key alone', async () => {
  await importSecret(10);
  expect(readFileSync(path, 'latin1')).not.toContain('secret');
  expect(() => openVault(path, { key: randomBytes(32) })).toThrow(
    expect.objectContaining({ code: 'vault.wrong-key' }) as Error,
  );
});

it('notices blocks that have changed places', async () => {
  await importSecret(600);
  const database = new Database(path);
  database.exec(`UPDATE block SET content = (SELECT content FROM block AS other WHERE other.first = 256)
    WHERE first = 0`);
  database.close();
  const vault = openVault(path, { key });
  expect(() => vault.page('notes', 0, 10)).toThrow(
    expect.objectContaining({ code: 'vault.damaged' }) as Error,
  );
  vault.close();
});

it('seals the rows of a vault that lay open', () => {
  const old = new Database(path);
  old.exec(`CREATE TABLE datasets (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL,
      map TEXT NOT NULL, rows INTEGER NOT NULL, skipped INTEGER NOT NULL, contract_hash TEXT NOT NULL) STRICT;
    CREATE TABLE rows (dataset INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
      position INTEGER NOT NULL, content TEXT NOT NULL, PRIMARY KEY (dataset, position)) STRICT, WITHOUT ROWID;
    INSERT INTO datasets VALUES (1, 'notes', 7, '{}', 1, 2, '');
    INSERT INTO rows VALUES (1, 0, '{"question":"secret","answer":"a"}');
    PRAGMA user_version = 1;`);
  old.close();
  const vault = openVault(path, { key });
  expect(vault.dataset('notes')).toMatchObject({ rows: 1, skipped: 2, created: 7, version: 1 });
  expect([...vault.rows('notes')]).toEqual([{ question: 'secret', answer: 'a' }]);
  vault.close();
  expect(readFileSync(path, 'latin1')).not.toContain('secret');
});
