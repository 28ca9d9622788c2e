/** @file Parquet, a group of rows at a time. */

import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import type { AsyncBuffer, FileMetaData } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { TributaryError } from '../../errors.ts';
import type { Batch, SourceRecord } from './source.ts';

/** Rows handed on at a time, and read at a time where a group of rows is too large to be read as a whole. */
const BATCH_ROWS = 2000;
const LARGE_GROUP_BYTES = 512 * 1024 * 1024;

export interface ParquetForm {
  readonly columns: readonly string[];
  readonly rows: number;
  readonly metadata: FileMetaData;
}

/** @throws TributaryError `data.broken-file`, `data.parquet-codec` */
export async function describeParquet(path: string): Promise<ParquetForm> {
  return withFile(path, async (file) => {
    const metadata = await parquetMetadataAsync(file);
    requireKnownCodecs(path, metadata);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    return { columns, rows: Number(metadata.num_rows), metadata };
  });
}

function requireKnownCodecs(path: string, { row_groups: groups }: FileMetaData): void {
  for (const { columns } of groups) {
    for (const { meta_data: column } of columns) {
      if (column === undefined) continue;
      const codec: string | undefined = column.codec;
      if (codec === 'UNCOMPRESSED' || (codec !== undefined && Object.hasOwn(compressors, codec))) continue;
      const name = column.path_in_schema.join('.');
      const what = `The column ${name} of ${path} is compressed with ${codec ?? 'an unknown codec'}, which cannot be read.`;
      throw new TributaryError('data.parquet-codec', what);
    }
  }
}

/** @throws TributaryError `data.broken-file` */
export async function* readParquetBatches(
  path: string,
  { metadata }: ParquetForm,
  signal?: AbortSignal,
): AsyncGenerator<Batch> {
  const handle = await open(path, 'r');
  try {
    const file = bufferOf(handle, (await handle.stat()).size);
    let start = 0;
    for (const group of metadata.row_groups) {
      const end = start + Number(group.num_rows);
      const step = Number(group.total_byte_size) > LARGE_GROUP_BYTES ? BATCH_ROWS * 10 : end - start;
      for (let from = start; from < end; from += step) {
        signal?.throwIfAborted();
        const rowEnd = Math.min(end, from + step);
        const rows = await readRows(path, { file, metadata, compressors, rowStart: from, rowEnd });
        for (let at = 0; at < rows.length; at += BATCH_ROWS) {
          const records = rows
            .slice(at, at + BATCH_ROWS)
            .map((row, index): SourceRecord => ({ number: from + at + index + 1, record: plain(row) }));
          const share = (from + at + records.length) / Number(metadata.num_rows);
          yield { records, bytes: Math.round(share * file.byteLength) };
        }
      }
      start = end;
    }
  } finally {
    await handle.close();
  }
}

async function readRows(
  path: string,
  options: Parameters<typeof parquetReadObjects>[0],
): Promise<Record<string, unknown>[]> {
  try {
    return await parquetReadObjects(options);
  } catch (cause) {
    throw broken(path, cause);
  }
}

async function withFile<T>(path: string, work: (file: AsyncBuffer) => Promise<T>): Promise<T> {
  const handle = await open(path, 'r');
  try {
    return await work(bufferOf(handle, (await handle.stat()).size));
  } catch (cause) {
    throw cause instanceof TributaryError ? cause : broken(path, cause);
  } finally {
    await handle.close();
  }
}

function broken(path: string, cause: unknown): TributaryError {
  return new TributaryError('data.broken-file', `${path} cannot be read as Parquet.`, { cause });
}

function bufferOf(handle: FileHandle, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    slice: async (start, end = byteLength) => {
      const part = new ArrayBuffer(end - start);
      const { bytesRead } = await handle.read(new Uint8Array(part), 0, end - start, start);
      if (bytesRead < end - start) throw new RangeError('the file is too short');
      return part;
    },
  };
}

/** Values as JSON has them: whole numbers beyond what a double holds, dates and bytes as text. */
function plain(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plainValue(value)]));
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') {
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
      ? Number(value)
      : String(value);
  }
  if (value === undefined || value === null || typeof value !== 'object') return value ?? null;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plainValue);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plainValue(inner)]));
}
