/**
 * @file Rows that came from no file, such as a person's votes: a dataset of them grows by versions, each of which
 * holds all rows so far. Their texts are never anywhere but in the vault.
 */

import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { SqliteDatabase } from '../database.ts';
import { TributaryError } from '../errors.ts';
import { machine } from '../machine.ts';
import { blockWriter, linesOf, readBlocks } from './blocks.ts';
import type { VaultKeys } from './cipher.ts';
import { contentHash, contentSet } from './content-set.ts';
import { contractHash, named, requireName } from './import.ts';
import { emptyCounts, lineageShape } from './lineage.ts';
import type { Lineage } from './lineage.ts';
import type { Mapping } from './mapping-shape.ts';
import type { VaultRow } from './mapping.ts';

export interface AppendOptions {
  /** Name of the dataset; it is made where there is none. */
  readonly to: string;
  /** How the rows are to be understood; the same for all versions of a dataset. */
  readonly mapping: Mapping;
}

const previousRow = z.object({
  id: z.int(),
  salt: z.instanceof(Uint8Array),
  lineage: z.string().transform((text) => lineageShape.parse(JSON.parse(text))),
});

/**
 * Adds rows in one transaction and returns the id of the version that holds them.
 * @throws TributaryError `vault.bad-name`, `vault.dataset-exists` where the dataset was imported from a file or its
 *   rows are of another kind, `vault.busy`, `disk.full`
 */
export function appendRows(
  { database, keys }: { readonly database: SqliteDatabase; readonly keys: VaultKeys },
  rows: readonly VaultRow[],
  { to: name, mapping }: AppendOptions,
): number {
  requireName(name);
  return named(name, () =>
    database
      .transaction(() => {
        const found = database
          .prepare(
            `SELECT id, salt, lineage FROM version WHERE name = ? AND state = 'ready' ORDER BY version DESC`,
          )
          .get(name);
        const before = found === undefined ? null : previousRow.parse(found);
        if (before !== null) requireAlike(name, before.lineage, mapping);
        const salt = randomBytes(32);
        const { lastInsertRowid } = database
          .prepare(
            `INSERT INTO version (name, version, state, process, salt, created, rows, contract_hash, lineage)
             SELECT ?, COALESCE(MAX(version), 0) + 1, 'ready', ?, ?, ?, 0, '', '' FROM version
             WHERE name = ? AND state = 'ready'`,
          )
          .run(name, process.pid, salt, Math.floor(machine.date() / 1000), name);
        const version = Number(lastInsertRowid);
        const writer = blockWriter(database, version, keys.datasetKey(salt));
        const contents = contentSet();
        const counts = emptyCounts();
        const add = (json: string): void => {
          if (!contents.add(contentHash(json))) counts.duplicates++;
          counts.read++;
          counts.kept++;
          writer.add(json, null);
        };
        if (before !== null) {
          const key = keys.datasetKey(before.salt);
          for (const block of readBlocks(database, { version: before.id, key })) {
            for (const { json } of linesOf(block)) add(json);
          }
        }
        for (const row of rows) add(JSON.stringify(row));
        writer.finish();
        const lineage: Lineage = { file: null, mapping, counts };
        const fields = new Set(rows.flatMap((row) => Object.keys(row)));
        database
          .prepare('UPDATE version SET rows = ?, contract_hash = ?, lineage = ? WHERE id = ?')
          .run(counts.kept, contractHash(fields), JSON.stringify(lineage), version);
        return version;
      })
      .immediate(),
  );
}

function requireAlike(name: string, { file, mapping: known }: Lineage, mapping: Mapping): void {
  if (file === null && JSON.stringify(known) === JSON.stringify(mapping)) return;
  throw new TributaryError(
    'vault.dataset-exists',
    `The dataset "${name}" came from a file or holds rows of another kind, so nothing is added to it.`,
  );
}
