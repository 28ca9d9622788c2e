/** @file Files as institutions have them: encodings, ragged tables, persons that must not be split, imports cut off. */

import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openVault } from '../../core/vault/vault.ts';
import type { Vault } from '../../core/vault/vault.ts';

const key = randomBytes(32);
const mapping = { kind: 'fields', fields: {} } as const;
let folder: string;
let vault: Vault;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-files-'));
  vault = openVault(join(folder, 'vault.sqlite'), { key });
});
afterEach(() => {
  vault.close();
  rmSync(folder, { recursive: true });
});

function write(content: string | Uint8Array, name = 'rows.csv'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function swapped(bytes: Buffer): Buffer {
  return Buffer.from(bytes).swap16();
}

describe('a table in an encoding of its own', () => {
  // Byte sequences from the encodings' tables: GB18030's of 胸痛 and 休息, Windows-1252's of é and the euro sign.
  const gb18030 = Buffer.concat([
    Buffer.from('question,answer\n'),
    Buffer.from([0xd0, 0xd8, 0xcd, 0xb4]),
    Buffer.from(','),
    Buffer.from([0xd0, 0xdd, 0xcf, 0xa2]),
    Buffer.from('\n'),
  ]);
  const windows = Buffer.concat([
    Buffer.from('question,answer\nfi'),
    Buffer.from([0xe8]),
    Buffer.from('vre,10 '),
    Buffer.from([0x80]),
    Buffer.from('\n'),
  ]);
  const utf16 = Buffer.from('\ufeffquestion,answer\nfièvre,repos\n', 'utf16le');

  it.each([
    ['UTF-8 with a mark', Buffer.from('\ufeffquestion,answer\nfièvre,repos\n'), 'fièvre', 'repos'],
    ['UTF-16, low byte first', utf16, 'fièvre', 'repos'],
    ['UTF-16, high byte first', swapped(utf16), 'fièvre', 'repos'],
    ['Windows-1252', windows, 'fièvre', '10 €'],
  ])('is read as %s without being told', async (_name, bytes, question, answer) => {
    await vault.importFile(write(bytes), { as: 'notes', mapping });
    expect([...vault.rows('notes')]).toEqual([{ question, answer }]);
  });

  it('is read as GB18030 where that is chosen', async () => {
    await vault.importFile(write(gb18030), { as: 'notes', mapping, encoding: 'gb18030' });
    expect([...vault.rows('notes')]).toEqual([{ question: '胸痛', answer: '休息' }]);
  });
});

it('leaves ragged rows out and counts them, or refuses the file and keeps nothing', async () => {
  const file = write('question,answer\na,b\nonly one\nc,d\ne,f,too many\n');
  await expect(vault.importFile(file, { as: 'notes', mapping })).rejects.toMatchObject({
    code: 'data.broken-line',
  });
  expect(vault.datasets()).toEqual([]);
  const { rows, lineage } = await vault.importFile(file, { as: 'notes', mapping, skipBad: true });
  expect(rows).toBe(2);
  expect(lineage.counts).toMatchObject({ read: 4, kept: 2, broken: 2 });
});

it('never divides a person, nor rows that say the same, between training and test', async () => {
  const lines = Array.from({ length: 400 }, (_, row) => `q${row % 390},a,patient ${row % 60}`);
  const file = write(['question,answer,person', ...lines].join('\n'));
  const split = { validation: 0.2, test: 0.2 };
  const { lineage } = await vault.importFile(file, { as: 'notes', mapping, person: 'person', split });
  const sides = new Map<string, Set<string>>();
  for (const { row, person, split: side } of vault.records('notes')) {
    for (const tie of [String(person), JSON.stringify(row)])
      sides.set(tie, (sides.get(tie) ?? new Set()).add(String(side)));
  }
  expect([...sides.values()].every((of) => of.size === 1)).toBe(true);
  expect(new Set([...sides.values()].flatMap((of) => [...of])).size).toBe(3);
  expect(lineage.people).toBe(60);
});

it('leaves nothing of an import that was stopped or whose file grew meanwhile', async () => {
  const lines = Array.from({ length: 20_000 }, (_, row) => `question ${row},answer ${row}`);
  const file = write(['question,answer', ...lines].join('\n'));
  const stop = new AbortController();
  const stopped = vault.importFile(file, {
    as: 'notes',
    mapping,
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('stopped by a person')),
  });
  await expect(stopped).rejects.toThrow('stopped by a person');
  let grown = false;
  const growing = vault.importFile(file, {
    as: 'notes',
    mapping,
    onProgress: () => {
      if (!grown) appendFileSync(file, '\nlate,row');
      grown = true;
    },
  });
  await expect(growing).rejects.toMatchObject({ code: 'data.file-changed' });
  expect(vault.datasets()).toEqual([]);
});

it.each([
  ['removed', (file: string) => rmSync(file)],
  ['cut short', (file: string) => truncateSync(file, 100_000)],
  ['written anew', (file: string) => writeFileSync(file, 'question,answer\nother,rows\n')],
])('leaves nothing of an import whose file was %s meanwhile', async (_, change) => {
  const lines = Array.from({ length: 20_000 }, (_row, row) => `question ${row},answer ${row}`);
  const file = write(['question,answer', ...lines].join('\n'));
  let changed = false;
  const importing = vault.importFile(file, {
    as: 'notes',
    mapping,
    onProgress: () => {
      if (!changed) change(file);
      changed = true;
    },
  });
  await expect(importing).rejects.toMatchObject({ code: 'data.file-changed' });
  expect(vault.datasets({ allVersions: true })).toEqual([]);
});

it('refuses a mapping in which one column is two fields, or that names none of the file', async () => {
  const file = write('question,answer\na,b\n');
  const twice = { kind: 'instruction', fields: { instruction: 'answer', response: 'answer' } } as const;
  const importing = vault.importFile(file, { as: 'notes', mapping: twice });
  await expect(importing).rejects.toMatchObject({
    code: 'vault.bad-map',
    message: expect.stringContaining('“answer”') as string,
  });
  const unknown = { kind: 'instruction', fields: { instruction: 'frage', response: 'answer' } } as const;
  const other = vault.importFile(file, { as: 'notes', mapping: unknown });
  await expect(other).rejects.toMatchObject({ code: 'vault.bad-map' });
  expect(vault.datasets({ allVersions: true })).toEqual([]);
});
