/** @file The vault: a site's private rows in a SQLite database, encrypted, in versions that never change. */

import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { SqliteDatabase } from '../database.ts';
import { TributaryError } from '../errors.ts';
import { appendRows } from './append.ts';
import type { AppendOptions } from './append.ts';
import { linesOf, readBlocks } from './blocks.ts';
import type { VaultKeys } from './cipher.ts';
import { importSource } from './import.ts';
import type { ImportOptions } from './import.ts';
import { lineageShape } from './lineage.ts';
import type { Lineage } from './lineage.ts';
import type { VaultRow } from './mapping.ts';
import { hashFile, stateOf } from './readers/bytes.ts';
import { limitGrowth, openVaultDatabase } from './schema.ts';
import type { VaultLimits } from './schema.ts';
import { searchBlocks } from './search.ts';
import type { SearchHit, SearchOptions } from './search.ts';
import { SPLITS } from './split.ts';
import type { Split } from './split.ts';

export type { ImportOptions, ImportProgress } from './import.ts';
export type { Lineage } from './lineage.ts';
export type { Mapping } from './mapping-shape.ts';
export type { VaultRow } from './mapping.ts';
export type { SearchHit, SearchOptions } from './search.ts';

/** One version of a dataset. */
export interface Dataset {
  /** Of this version in this vault, and never of another. */
  readonly id: number;
  readonly name: string;
  /** From 1; a name alone means the newest. */
  readonly version: number;
  /** Name and version, `notes@2`, by which this one is meant whatever is imported later. */
  readonly reference: string;
  /** When it was imported, in seconds since 1970. */
  readonly created: number;
  readonly rows: number;
  /** Records of the file that are no rows of the dataset. */
  readonly skipped: number;
  /** SHA-256 over the sorted names of the fields that every row has, as a JSON list. */
  readonly contractHash: string;
  readonly lineage: Lineage;
}

export interface StoredRow {
  /** From 0, in the order of the file. */
  readonly position: number;
  readonly row: VaultRow;
  /** Keyed hash of the person it is about; null where no column says it. */
  readonly person: string | null;
  readonly split: Split;
}

export interface OpenVaultOptions extends VaultLimits {
  /** 32 bytes, as `vault-key.ts` gives them. */
  readonly key: Uint8Array;
}

/** Wherever a dataset is named, `name` is its newest version and `name@2` the second. */
export interface Vault {
  /** The newest version of every dataset, or all versions, in the order of names and versions. */
  datasets(options?: { readonly allVersions?: boolean }): Dataset[];
  /** @throws TributaryError `vault.unknown-dataset` */
  dataset(name: string): Dataset;
  /** All rows in the order of the file. @throws TributaryError `vault.unknown-dataset`, `vault.damaged` */
  rows(name: string): Generator<VaultRow>;
  /** Rows with all that is known of them. @throws TributaryError `vault.unknown-dataset`, `vault.damaged` */
  records(name: string): Generator<StoredRow>;
  /** Rows from `offset` on. @throws TributaryError `vault.unknown-dataset`, `vault.damaged` */
  page(name: string, offset: number, limit: number): { readonly rows: StoredRow[]; readonly total: number };
  /** Rows that hold a text, as they are found. @throws TributaryError as `rows`; the signal's reason when it aborts */
  search(name: string, query: string, options?: SearchOptions): AsyncGenerator<SearchHit>;
  /**
   * Imports a file as a new dataset or as the next version of one: either all of it is there afterwards or nothing.
   *
   * @throws TributaryError `data.broken-line`, `data.broken-file`, `data.row-too-long`, `data.empty`, `data.encoding`,
   *   `data.unknown-format`, `data.parquet-codec`, `data.file-changed`, `disk.full`, `vault.dataset-exists`,
   *   `vault.bad-name`, `vault.bad-map`, `vault.bad-split`, `vault.busy`; the signal's reason when it aborts
   */
  importFile(file: string, options: ImportOptions): Promise<Dataset>;
  /**
   * Adds rows that came from no file to a dataset of such rows, as its next version.
   * @throws TributaryError as `appendRows` does
   */
  append(rows: readonly VaultRow[], options: AppendOptions): Dataset;
  /** The versions that were imported from a file of the same content. */
  importedFrom(file: string, signal?: AbortSignal): Promise<Dataset[]>;
  /**
   * Deletes a dataset with all its versions, or one version where one is named, and overwrites its pages.
   * @throws TributaryError `vault.unknown-dataset`
   */
  remove(name: string): void;
  close(): void;
}

/** The dataset's name of a reference such as `notes@2`. */
export function nameOfReference(reference: string): string {
  return reference.replace(/@\d+$/, '');
}

const versionRow = z.object({
  id: z.int(),
  name: z.string(),
  version: z.int(),
  salt: z.instanceof(Uint8Array),
  created: z.int(),
  rows: z.int(),
  contract_hash: z.string(),
  lineage: z.string().transform((text) => lineageShape.parse(JSON.parse(text))),
});
type VersionRow = z.output<typeof versionRow>;

const rowShape = z.record(z.string(), z.unknown());
const parseRow = (json: string): VaultRow => rowShape.parse(JSON.parse(json));

/** Vaults into which this process is importing. */
const importing = new Set<string>();

/**
 * Opens the vault at `path`, making it (mode 0600) where there is none, and encrypting one that lay open until now.
 * @throws TributaryError `vault.wrong-key`, `database.*`, `disk.full`
 */
export function openVault(path: string, { key, ...limits }: OpenVaultOptions): Vault {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const { database, keys } = openVaultDatabase(path, key, limits);
  if (!importing.has(path)) deleteRemains(database);
  const find = (name: string): VersionRow => findVersion(database, name);
  const blocksOf = ({ id, salt }: VersionRow, from = 0) =>
    readBlocks(database, { version: id, key: keys.datasetKey(salt), from });

  function* records(found: VersionRow, from: number): Generator<StoredRow> {
    const sideOf = splitReader(database, found.id);
    for (const block of blocksOf(found, from)) {
      let position = block.first;
      for (const { person, json } of linesOf(block)) {
        if (position >= from) yield { position, row: parseRow(json), person, split: sideOf(position) };
        position++;
      }
    }
  }

  return {
    datasets: ({ allVersions = false } = {}) => {
      const all = database
        .prepare("SELECT * FROM version WHERE state = 'ready' ORDER BY name, version")
        .all()
        .map((row) => describe(versionRow.parse(row)));
      return allVersions ? all : all.filter(({ name }, at) => all[at + 1]?.name !== name);
    },
    dataset: (name) => describe(find(name)),
    rows: (name) => rowsOf(records(find(name), 0)),
    records: (name) => records(find(name), 0),
    page: (name, offset, limit) => {
      const found = find(name);
      const rows: StoredRow[] = [];
      if (limit > 0) {
        for (const row of records(found, Math.max(0, offset))) {
          rows.push(row);
          if (rows.length >= limit) break;
        }
      }
      return { rows, total: found.rows };
    },
    search: (name, query, options = {}) => {
      const found = find(name);
      return searchBlocks(blocksOf(found), { query, totalRows: found.rows, parse: parseRow }, options);
    },
    importFile: async (file, options) => {
      if (importing.has(path))
        throw new TributaryError('vault.busy', 'Another import into this vault is under way.');
      importing.add(path);
      try {
        const id = await importApart({ path, key, limits }, file, options);
        return describe(versionRow.parse(database.prepare('SELECT * FROM version WHERE id = ?').get(id)));
      } finally {
        importing.delete(path);
      }
    },
    append: (rows, options) => {
      const id = appendRows({ database, keys }, rows, options);
      return describe(versionRow.parse(database.prepare('SELECT * FROM version WHERE id = ?').get(id)));
    },
    importedFrom: async (file, signal) => {
      const { bytes } = await stateOf(file);
      const alike = database
        .prepare("SELECT * FROM version WHERE state = 'ready' AND lineage ->> '$.file.bytes' = ? ORDER BY id")
        .all(bytes)
        .map((row) => describe(versionRow.parse(row)));
      if (alike.length === 0) return [];
      const sha256 = await hashFile(file, signal);
      return alike.filter(({ lineage }) => lineage.file?.sha256 === sha256);
    },
    remove: (name) => {
      const { id } = find(name);
      if (/@\d+$/.test(name)) database.prepare('DELETE FROM version WHERE id = ?').run(id);
      else database.prepare("DELETE FROM version WHERE name = ? AND state = 'ready'").run(name);
      database.pragma('wal_checkpoint(TRUNCATE)');
    },
    close: () => database.close(),
  };
}

/** A connection of its own: its transactions end before those of readers do, and its cache goes with it. */
async function importApart(
  { path, key, limits }: { path: string; key: Uint8Array; limits: VaultLimits },
  file: string,
  options: ImportOptions,
): Promise<number> {
  const place: { database: SqliteDatabase; keys: VaultKeys } = openVaultDatabase(path, key, limits);
  if (options.maximumGrowth !== undefined) limitGrowth(place.database, options.maximumGrowth);
  try {
    return await importSource(place, file, options);
  } finally {
    place.database.close();
  }
}

/** What imports have left that did not end, and pages of the journal that are written back already. */
function deleteRemains(database: SqliteDatabase): void {
  const left = z
    .array(z.object({ id: z.int(), process: z.int() }))
    .parse(database.prepare("SELECT id, process FROM version WHERE state = 'importing'").all())
    .filter(({ process: owner }) => owner === process.pid || !isAlive(owner));
  for (const { id } of left) database.prepare('DELETE FROM version WHERE id = ?').run(id);
  database.pragma('wal_checkpoint(TRUNCATE)');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another account's process answers "not permitted", which shows that it is there.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function findVersion(database: SqliteDatabase, name: string): VersionRow {
  const [, base, version] = /^(.*)@(\d+)$/.exec(name) ?? [null, name, null];
  const found = database
    .prepare(
      `SELECT * FROM version WHERE state = 'ready' AND name = ? AND version = COALESCE(?, version)
       ORDER BY version DESC LIMIT 1`,
    )
    .get(base, version === null ? null : Number(version));
  if (found !== undefined) return versionRow.parse(found);
  throw new TributaryError('vault.unknown-dataset', `There is no dataset named "${name}".`);
}

function describe({ id, name, version, created, rows, contract_hash, lineage }: VersionRow): Dataset {
  const { read } = lineage.counts;
  const reference = `${name}@${version}`;
  return {
    id,
    name,
    version,
    reference,
    created,
    rows,
    skipped: read - rows,
    contractHash: contract_hash,
    lineage,
  };
}

function* rowsOf(records: Iterable<StoredRow>): Generator<VaultRow> {
  for (const { row } of records) yield row;
}

/** The side of each row, read in pieces. */
function splitReader(database: SqliteDatabase, version: number): (position: number) => Split {
  const find = database.prepare(
    'SELECT first, assigned FROM split WHERE version = ? AND first <= ? ORDER BY first DESC LIMIT 1',
  );
  const shape = z.object({ first: z.int(), assigned: z.instanceof(Uint8Array) }).optional();
  const found = database.prepare('SELECT 1 FROM split WHERE version = ?').get(version);
  if (found === undefined) return () => 'train';
  let piece = { first: 0, assigned: new Uint8Array() };
  return (position) => {
    if (position < piece.first || position >= piece.first + piece.assigned.length)
      piece = shape.parse(find.get(version, position)) ?? piece;
    return SPLITS[piece.assigned[position - piece.first] ?? 0];
  };
}
