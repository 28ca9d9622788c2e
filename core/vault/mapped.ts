/** @file The rows that a file would give under a mapping, without importing it. */

import { applyMapping, checkMapping } from './mapping.ts';
import type { MappedRecord } from './mapping.ts';
import type { Mapping } from './mapping-shape.ts';
import { openSource } from './readers/open.ts';
import { isBrokenRecord } from './readers/source.ts';
import type { FileChoice } from './readers/source.ts';

/**
 * Rows in the order of the file, and why a record is none.
 * Throws as `openSource` and its reading do, `vault.bad-map`, and the signal's reason when it aborts.
 */
export async function* readMapped(
  path: string,
  { mapping, reading, signal }: { mapping: Mapping; reading?: FileChoice; signal?: AbortSignal },
): AsyncGenerator<MappedRecord> {
  const source = await openSource(path, reading);
  if (source.columns !== null) checkMapping(mapping, source.columns);
  for await (const { records } of source.batches({ signal })) {
    for (const read of records) {
      yield isBrokenRecord(read)
        ? { problem: read.problem, empty: false }
        : applyMapping(mapping, read.record);
    }
  }
}
