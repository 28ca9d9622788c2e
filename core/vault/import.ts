/**
 * @file Imports a file as a new version of a dataset. Rows are written in small transactions under a version that
 * nobody sees; the last transaction makes it visible. What a killed import has left is deleted when the vault is opened
 * again.
 */

import { createHash, randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import Database from 'better-sqlite3';
import type { SqliteDatabase } from '../database.ts';
import { TributaryError } from '../errors.ts';
import { machine } from '../machine.ts';
import { blockWriter } from './blocks.ts';
import type { VaultKeys } from './cipher.ts';
import { contentHash, contentSet } from './content-set.ts';
import { emptyCounts } from './lineage.ts';
import type { Counts, Lineage } from './lineage.ts';
import { applyMapping, checkMapping } from './mapping.ts';
import type { Mapping } from './mapping-shape.ts';
import type { VaultRow } from './mapping.ts';
import { startTreatment } from './personal/treatment.ts';
import type { Treatment, TreatmentOptions } from './personal/treatment.ts';
import { hashFile, requireUnchanged, stateOf } from './readers/bytes.ts';
import { openSource } from './readers/open.ts';
import { isBrokenRecord } from './readers/source.ts';
import type { BrokenRecord, FileChoice, SourceFile, SourceRecord } from './readers/source.ts';
import { SPLITS, startSplit } from './split.ts';
import type { SplitShares } from './split.ts';
import { textOf, valueOf } from './values.ts';

export interface ImportProgress {
  readonly bytes: number;
  readonly totalBytes: number;
  /** Rows kept so far. */
  readonly rows: number;
}

export interface ImportOptions extends FileChoice, TreatmentOptions {
  /** Name of the dataset. */
  readonly as: string;
  readonly mapping: Mapping;
  /** Where a dataset of this name exists, become its next version instead of failing. */
  readonly newVersion?: boolean;
  /** Leave broken and empty rows out and count them instead of giving up at the first. */
  readonly skipBad?: boolean;
  /** Throws `data.broken-line` for a row that is of no use to the site. */
  readonly validate?: (row: VaultRow) => void;
  /** Column that tells persons apart; a keyed hash of it stays with each row, the value does not. */
  readonly person?: string;
  /** Column that tells documents apart, none of which is split. */
  readonly document?: string;
  /** Shares of validation and test rows; without it every row is for training. */
  readonly split?: SplitShares;
  /** Leave out rows that say the same as one before. */
  readonly withoutDuplicates?: boolean;
  /** Characters beyond which a row counts as overlong. */
  readonly overlong?: number;
  /** Bytes by which the database may grow; an import beyond them ends with `disk.full`. */
  readonly maximumGrowth?: number;
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
}

/** About 2 000 tokens of English, beyond which a training cuts examples as a rule. */
export const OVERLONG_CHARACTERS = 8000;

/** Sides kept per row of the split table. */
const SPLIT_CHUNK = 65_536;

export interface ImportPlace {
  readonly database: SqliteDatabase;
  readonly keys: VaultKeys;
}

/**
 * Imports a file; the returned id is its version's. Throws what `openSource` and reading throw, `data.broken-line`,
 * `data.row-too-long`, `data.empty`, `disk.full`, `vault.dataset-exists`, `vault.bad-name`, `vault.bad-map`, and the
 * signal's reason when it aborts; then nothing of it is left.
 */
export async function importSource(
  { database, keys }: ImportPlace,
  file: string,
  options: ImportOptions,
): Promise<number> {
  checkRequest(database, options);
  const started = machine.now();
  const before = await stateOf(file);
  const source = await openSource(file, options);
  if (source.columns !== null) checkColumns(source.columns, options);
  const salt = randomBytes(32);
  const { lastInsertRowid } = named(options.as, () =>
    database
      .prepare(
        `INSERT INTO version (name, version, state, process, salt, created, rows, contract_hash, lineage)
         VALUES (?, ?, 'importing', ?, ?, ?, 0, '', '')`,
      )
      // A number below zero is taken by nobody; the real one is given at the end.
      .run(
        options.as,
        -Math.abs(salt.readInt32LE(0)) - 1,
        process.pid,
        salt,
        Math.floor(machine.date() / 1000),
      ),
  );
  const version = Number(lastInsertRowid);
  try {
    const key = keys.datasetKey(salt);
    const read = await readRows({ database, keys }, { version, key, source }, options);
    if (read.counts.kept === 0) {
      const left = read.counts.read - read.counts.kept;
      throw new TributaryError('data.empty', `${file} holds no usable row; ${left} rows were left out.`);
    }
    // A file of text was hashed while it was read.
    const sha256 = read.sha256 ?? (await hashFile(file, options.signal));
    await requireUnchanged(file, before);
    options.signal?.throwIfAborted();
    const lineage: Lineage = {
      file: {
        name: basename(file),
        sha256,
        bytes: before.bytes,
        format: source.format,
        encoding: source.encoding,
      },
      mapping: options.mapping,
      counts: read.counts,
      ...(options.person !== undefined && { person: options.person, people: read.people }),
      ...(options.document !== undefined && { document: options.document }),
      ...(options.withoutDuplicates === true && { withoutDuplicates: true }),
      ...(read.treatment !== null && {
        personal: read.treatment.report(),
        masked: read.treatment.masked(),
      }),
      seconds: Math.round(machine.now() - started) / 1000,
    };
    named(options.as, () => complete(database, version, { ...read, lineage, options }));
    return version;
  } catch (error) {
    discard(database, version);
    throw error;
  }
}

/** @throws TributaryError `vault.bad-name` */
export function requireName(name: string): void {
  if (/^[\p{L}\p{N}_][\p{L}\p{N}_.-]{0,63}$/u.test(name)) return;
  throw new TributaryError('vault.bad-name', `"${name}" cannot name a dataset.`);
}

function checkRequest(
  database: SqliteDatabase,
  { as: name, newVersion = false, split }: ImportOptions,
): void {
  requireName(name);
  const shares = [split?.validation ?? 0, split?.test ?? 0];
  if (shares.some((share) => !(share >= 0 && share < 1)) || shares[0] + shares[1] >= 1) {
    throw new TributaryError(
      'vault.bad-split',
      `Shares of ${shares.join(' and ')} leave no rows for training.`,
    );
  }
  const known = database.prepare("SELECT 1 FROM version WHERE name = ? AND state = 'ready'").get(name);
  if (known !== undefined && !newVersion)
    throw new TributaryError('vault.dataset-exists', `There is a dataset named "${name}" already.`);
}

function checkColumns(columns: readonly string[], { mapping, person, document }: ImportOptions): void {
  checkMapping(mapping, columns);
  for (const name of [person, document]) {
    if (name !== undefined && !columns.includes(name))
      throw new TributaryError('vault.bad-map', `The file has no column “${name}”.`);
  }
}

interface ReadRows {
  readonly counts: Counts;
  readonly people: number;
  readonly fields: ReadonlySet<string>;
  readonly sides: Uint8Array | null;
  readonly sha256: string | null;
  readonly treatment: Treatment | null;
}

async function readRows(
  { database, keys }: ImportPlace,
  { version, key, source }: { version: number; key: Buffer; source: SourceFile },
  options: ImportOptions,
): Promise<ReadRows> {
  const { mapping, person, document, split, overlong = OVERLONG_CHARACTERS, onProgress, signal } = options;
  const counts = emptyCounts();
  const contents = contentSet();
  const people = new Set<string>();
  const splitter = split === undefined ? null : startSplit();
  const { personal, unseen } = options;
  const treatment = personal === undefined ? null : startTreatment(personal, unseen);
  const writer = blockWriter(database, version, key);
  let fields: Set<string> | undefined;

  const keep = ({ record }: SourceRecord, row: VaultRow): void => {
    const json = JSON.stringify(row);
    const content = contentHash(json);
    const isNew = contents.add(content);
    if (!isNew) counts.duplicates++;
    if (!isNew && options.withoutDuplicates === true) return;
    if (json.length > overlong) counts.overlong++;
    const ties = [content];
    let hashed: string | null = null;
    const name = person === undefined ? '' : textOf(valueOf(record, person));
    if (name.trim() !== '') {
      hashed = keys.personHash(name);
      people.add(hashed);
      ties.push(hashed);
    }
    const named = document === undefined ? '' : textOf(valueOf(record, document));
    if (named.trim() !== '') ties.push(contentHash(`document ${named}`));
    splitter?.add(ties);
    writer.add(json, hashed);
    counts.kept++;
    const present = Object.keys(row);
    if (fields === undefined) fields = new Set(present);
    else if (fields.size > 0)
      for (const field of fields) if (!Object.hasOwn(row, field)) fields.delete(field);
  };

  const take = (read: SourceRecord | BrokenRecord): void => {
    counts.read++;
    const admitted = isBrokenRecord(read) ? { ...read, empty: false } : admit(read, mapping, options);
    if ('row' in admitted && !isBrokenRecord(read)) {
      const row = treatment === null ? admitted.row : treatment.treat(admitted.row);
      if (row === null) counts.personal++;
      else keep(read, row);
      return;
    }
    if (!('problem' in admitted)) return;
    if (options.skipBad !== true) throw brokenRecordError(source, admitted);
    if (admitted.empty) counts.empty++;
    else counts.broken++;
  };

  const insertBatch = database.transaction((records: readonly (SourceRecord | BrokenRecord)[]) => {
    for (const read of records) take(read);
  });
  const hash = source.format === 'parquet' ? null : createHash('sha256');
  for await (const { records, bytes } of source.batches({
    signal,
    onBytes: (piece) => hash?.update(piece),
  })) {
    named(options.as, () => insertBatch.immediate(records));
    onProgress?.({ bytes, totalBytes: source.bytes, rows: counts.kept });
  }
  named(options.as, () => database.transaction(() => writer.finish()).immediate());
  return {
    ...{ counts, people: people.size, fields: fields ?? new Set() },
    sides: splitter === null || split === undefined ? null : splitter.assign(split),
    sha256: hash?.digest('hex') ?? null,
    treatment,
  };
}

function admit(
  { number, record }: SourceRecord,
  mapping: Mapping,
  { validate }: ImportOptions,
): { readonly row: VaultRow } | (BrokenRecord & { readonly empty: boolean }) {
  const mapped = applyMapping(mapping, record);
  if ('problem' in mapped) return { number, code: 'data.broken-line', ...mapped };
  try {
    validate?.(mapped.row);
    return mapped;
  } catch (error) {
    if (!(error instanceof TributaryError)) throw error;
    const problem = `does not fit: ${error.message.replace(/\.$/, '')}`;
    return { number, code: 'data.broken-line', problem, empty: false };
  }
}

/** The error that names a broken record by file and number. */
export function brokenRecordError(
  { path, unit }: SourceFile,
  { number, code, problem }: BrokenRecord,
): TributaryError {
  return new TributaryError(code, `${unit} ${number} of ${path} ${problem}.`);
}

/** Makes the rows visible, in one transaction. */
function complete(
  database: SqliteDatabase,
  version: number,
  read: ReadRows & { readonly lineage: Lineage; readonly options: ImportOptions },
): void {
  const { counts, fields, sides, lineage, options } = read;
  database
    .transaction(() => {
      checkRequest(database, options);
      const rows = { train: 0, validation: 0, test: 0 };
      for (let first = 0; sides !== null && first < sides.length; first += SPLIT_CHUNK) {
        const assigned = sides.subarray(first, first + SPLIT_CHUNK);
        for (const side of assigned) rows[SPLITS[side]]++;
        database.prepare('INSERT INTO split VALUES (?, ?, ?)').run(version, first, assigned);
      }
      const { validation, test } = options.split ?? { validation: 0, test: 0 };
      const recorded: Lineage = sides === null ? lineage : { ...lineage, split: { validation, test, rows } };
      database
        .prepare(
          `UPDATE version SET state = 'ready', rows = ?, contract_hash = ?, lineage = ?, version = (
             SELECT COALESCE(MAX(version), 0) + 1 FROM version AS other
             WHERE other.name = version.name AND other.state = 'ready'
           ) WHERE id = ?`,
        )
        .run(counts.kept, contractHash(fields), JSON.stringify(recorded), version);
    })
    .immediate();
}

/** Deletes what a failed import wrote. Where the disk is full even for that, opening the vault does it later. */
function discard(database: SqliteDatabase, version: number): void {
  try {
    database.prepare('DELETE FROM version WHERE id = ?').run(version);
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
  }
}

/** SHA-256 over the sorted names of the fields that every row has, as a JSON list. */
export function contractHash(fields: ReadonlySet<string>): string {
  return createHash('sha256')
    .update(JSON.stringify([...fields].sort()))
    .digest('hex');
}

/** Runs a change, and says what SQLite's refusals mean. */
export function named<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    if (error.code === 'SQLITE_FULL') {
      const what = `No space is left to import "${name}"; nothing of it was kept.`;
      throw new TributaryError('disk.full', what, { cause: error });
    }
    if (error.code.startsWith('SQLITE_BUSY'))
      throw new TributaryError('vault.busy', 'Another import into this vault is under way.', {
        cause: error,
      });
    throw error;
  }
}
