/** @file Parquet as others write it: nested columns, numbers and dates, codecs, files that are cut short. */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ByteWriter, parquetWrite, parquetWriteBuffer } from 'hyparquet-writer';
import { parquetMetadata } from 'hyparquet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inspectFile } from '../../core/vault/inspect.ts';
import { openSource } from '../../core/vault/readers/open.ts';
import { isBrokenRecord } from '../../core/vault/readers/source.ts';
import { openVault } from '../../core/vault/vault.ts';
import { codeOfAsync, errorOf } from '../helpers/errors.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tributary-parquet-'))));
afterEach(() => rmSync(folder, { recursive: true }));

type Columns = Parameters<typeof parquetWriteBuffer>[0];

function write(options: Columns, name = 'rows.parquet'): string {
  const path = join(folder, name);
  writeFileSync(path, new Uint8Array(parquetWriteBuffer(options)));
  return path;
}

const texts = (count: number): Columns => ({
  columnData: [
    { name: 'question', type: 'STRING', data: Array.from({ length: count }, (_, row) => `q${row}`) },
    { name: 'answer', type: 'STRING', data: Array.from({ length: count }, (_, row) => `a${row}`) },
  ],
});

async function recordsOf(path: string): Promise<Record<string, unknown>[]> {
  const source = await openSource(path);
  const found: Record<string, unknown>[] = [];
  for await (const { records } of source.batches())
    for (const read of records) if (!isBrokenRecord(read)) found.push(read.record);
  return found;
}

it('is read over groups of rows, in their order, and says how many there are', async () => {
  const path = write({ ...texts(4500), rowGroupSize: 1700 });
  const { format, rows, guess } = await inspectFile(path);
  expect({ format, rows }).toEqual({ format: 'parquet', rows: { count: 4500, exact: true } });
  expect(guess?.mapping).toEqual({
    kind: 'instruction',
    fields: { instruction: 'question', response: 'answer' },
  });
  const records = await recordsOf(path);
  expect(records.map(({ question }) => question)).toEqual(texts(4500).columnData[0].data);
});

it('gives nested columns as lists and objects: conversations, options', async () => {
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello!' },
  ];
  const path = write({
    columnData: [{ name: 'messages', data: [messages, messages] }],
    schema: [
      { name: 'root', num_children: 1 },
      { name: 'messages', num_children: 1, converted_type: 'LIST', repetition_type: 'OPTIONAL' },
      { name: 'list', num_children: 1, repetition_type: 'REPEATED' },
      { name: 'element', num_children: 2, repetition_type: 'OPTIONAL' },
      { name: 'role', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      { name: 'content', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
    ],
  });
  expect(await recordsOf(path)).toEqual([{ messages }, { messages }]);
  expect((await inspectFile(path)).guess?.mapping).toEqual({
    kind: 'chat',
    fields: { messages: 'messages' },
  });
  const vault = openVault(join(folder, 'vault.sqlite'), { key: randomBytes(32) });
  const mapping = { kind: 'chat', fields: { messages: 'messages' } } as const;
  await vault.importFile(path, { as: 'talks', mapping });
  expect([...vault.rows('talks')]).toEqual([{ messages }, { messages }]);
  vault.close();
});

it('gives whole numbers beyond a double and dates as text', async () => {
  const path = write({
    columnData: [
      { name: 'small', type: 'INT64', data: [7n] },
      { name: 'large', type: 'INT64', data: [2n ** 62n] },
      { name: 'day', type: 'TIMESTAMP', data: [new Date('2023-02-28T10:00:00Z')] },
      { name: 'nothing', type: 'STRING', data: [null] },
    ],
  });
  expect(await recordsOf(path)).toEqual([
    { small: 7, large: '4611686018427387904', day: '2023-02-28T10:00:00.000Z', nothing: null },
  ]);
});

it.each(['SNAPPY', 'UNCOMPRESSED'] as const)('is read where it is compressed with %s', async (codec) => {
  expect(await recordsOf(write({ ...texts(50), codec }))).toHaveLength(50);
});

it('says which column is compressed in a way that cannot be read, and keeps nothing', async () => {
  const writer = new ByteWriter();
  // LZO is in the format's list, and nobody here reads it.
  await parquetWrite({ writer, ...texts(20), codec: 'LZO', compressors: { LZO: (bytes) => bytes } });
  const path = join(folder, 'lzo.parquet');
  writeFileSync(path, new Uint8Array(writer.getBuffer()));
  expect(parquetMetadata(writer.getBuffer()).row_groups[0].columns[0].meta_data?.codec).toBe('LZO');
  const error = await errorOf(() => openSource(path));
  expect(error.code).toBe('data.parquet-codec');
  expect(error.message).toContain('question');
  expect(error.message).toContain('LZO');
});

describe('a file that is cut short or damaged', () => {
  it.each([0.3, 0.7, 0.99])('is refused where %d of it is there', async (share) => {
    const path = write(texts(4000));
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, Math.floor(whole.length * share)));
    expect(await codeOfAsync(() => recordsOf(path))).toBe('data.broken-file');
  });

  it('is refused, and nothing of it is kept, where its pages are not what its end says', async () => {
    const path = write({ ...texts(4000), rowGroupSize: 1000 });
    const whole = readFileSync(path);
    whole.fill(0xff, Math.floor(whole.length * 0.5), Math.floor(whole.length * 0.6));
    writeFileSync(path, whole);
    const vault = openVault(join(folder, 'vault.sqlite'), { key: randomBytes(32) });
    const importing = vault.importFile(path, { as: 'notes', mapping: { kind: 'fields', fields: {} } });
    await expect(importing).rejects.toMatchObject({ code: 'data.broken-file' });
    expect(vault.datasets({ allVersions: true })).toEqual([]);
    vault.close();
  });
});
