import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { openVault } from '../../core/vault/vault.ts';
import type { ImportOptions, Vault } from '../../core/vault/vault.ts';
import { parseFieldMap } from '../../core/vault/field-map.ts';

let folder: string;
let path: string;
let vault: Vault;
const key = randomBytes(32);
const asTheyAre = { kind: 'fields', fields: {} } as const;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-vault-'));
  path = join(folder, 'site', 'vault.sqlite');
  vault = openVault(path, { key });
});
afterEach(() => {
  vault.close();
  rmSync(folder, { recursive: true });
});

function file(...lines: string[]): string {
  const name = join(folder, 'rows.jsonl');
  writeFileSync(name, lines.map((line) => `${line}\n`).join(''));
  return name;
}

/** Imports rows as they are, unless a mapping is given. */
function importFile(name: string, options: Omit<ImportOptions, 'mapping'> & Partial<ImportOptions>) {
  return vault.importFile(name, { mapping: asTheyAre, ...options });
}

const row = (i: number) => JSON.stringify({ question: `q${i}`, answer: `a${i}`, patient: 'Jane' });

describe('importFile', () => {
  it('keeps every row in order, over more than a page', async () => {
    const lines = Array.from({ length: 600 }, (_, i) => row(i));
    const dataset = await importFile(file(...lines), { as: 'clinic' });
    expect(dataset).toMatchObject({ name: 'clinic', rows: 600, skipped: 0, version: 1 });
    expect([...vault.rows('clinic')]).toEqual(lines.map((line): unknown => JSON.parse(line)));
  });

  it('stores only mapped fields, under their new names', async () => {
    const mapping = {
      kind: 'fields',
      fields: parseFieldMap('instruction=question,response=answer'),
    } as const;
    await importFile(file(row(1)), { as: 'clinic', mapping });
    expect([...vault.rows('clinic')]).toEqual([{ instruction: 'q1', response: 'a1' }]);
    expect(vault.dataset('clinic').lineage.mapping).toEqual(mapping);
    expect(readFileSync(`${path}-wal`, 'latin1') + readFileSync(path, 'latin1')).not.toContain('Jane');
  });

  it('hashes the fields that all rows share', async () => {
    const one = await importFile(file('{"a":1,"b":2}', '{"b":1,"a":2,"c":3}'), { as: 'one' });
    const two = await importFile(file('{"b":1,"a":2}'), { as: 'two' });
    const three = await importFile(file('{"b":1}'), { as: 'three' });
    expect(one.contractHash).toBe(two.contractHash);
    expect(one.contractHash).not.toBe(three.contractHash);
  });

  it.each([
    ['is not JSON', '{"question":', undefined],
    ['has no field "question"', '{"answer":"a"}', undefined],
    ['does not fit: too short', row(7), 'q7'],
  ])('names a line that %s, keeps nothing, and can pass over it', async (problem, line, refused) => {
    const path = file(row(1), line, row(2));
    const options = {
      as: 'clinic',
      mapping: { kind: 'fields', fields: { question: 'question' } } as const,
      validate: ({ question }: Readonly<Record<string, unknown>>) => {
        if (question === refused) throw new TributaryError('data.broken-line', 'too short.');
      },
    };
    const failure = await importFile(path, options).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'data.broken-line' });
    expect(String(failure)).toContain(`Line 2 of ${path} ${problem}`);
    expect(vault.datasets()).toEqual([]);
    const dataset = await importFile(path, { ...options, skipBad: true });
    expect(dataset).toMatchObject({ rows: 2, skipped: 1 });
    expect([...vault.rows('clinic')]).toEqual([{ question: 'q1' }, { question: 'q2' }]);
  });

  it('keeps nothing when the space runs out, and goes on working', async () => {
    vault.close();
    vault = openVault(path, { key, maximumBytes: 200_000 });
    await importFile(file(row(1)), { as: 'small' });
    const large = Array.from({ length: 300 }, (_, i) => JSON.stringify({ question: 'x'.repeat(2000), i }));
    await expect(importFile(file(...large), { as: 'large' })).rejects.toMatchObject({
      code: 'disk.full',
    });
    expect(vault.datasets().map(({ name }) => name)).toEqual(['small']);
    await importFile(file(row(2)), { as: 'other' });
    expect([...vault.rows('other')]).toHaveLength(1);
  });

  it('refuses a name twice, a name with a slash, and a file without rows', async () => {
    await importFile(file(row(1)), { as: 'clinic' });
    await expect(importFile(file(row(2)), { as: 'clinic' })).rejects.toMatchObject({
      code: 'vault.dataset-exists',
    });
    await expect(importFile(file(row(2)), { as: 'a/b' })).rejects.toMatchObject({
      code: 'vault.bad-name',
    });
    await expect(importFile(file(''), { as: 'empty' })).rejects.toMatchObject({ code: 'data.empty' });
    expect([...vault.rows('clinic')]).toMatchObject([{ question: 'q1' }]);
  });
});

describe('two imports at a time', () => {
  it('are refused at once, and the first goes on', async () => {
    const lines = Array.from({ length: 5000 }, (_, i) => row(i));
    const rows = file(...lines);
    const first = importFile(rows, { as: 'first' });
    await expect(importFile(rows, { as: 'second' })).rejects.toMatchObject({
      code: 'vault.busy',
    });
    expect(vault.datasets()).toEqual([]);
    expect(await first).toMatchObject({ rows: 5000 });
  });
});

describe('the vault', () => {
  it('survives being closed, and only its owner may read the file', async () => {
    await importFile(file(row(1)), { as: 'clinic' });
    vault.close();
    vault = openVault(path, { key });
    expect(vault.datasets()).toMatchObject([{ name: 'clinic', rows: 1 }]);
    if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('removes a dataset so that its rows are not on the disk any more', async () => {
    const lines = Array.from({ length: 50 }, (_, i) => row(i));
    await importFile(file(...lines), { as: 'clinic' });
    vault.remove('clinic');
    expect(vault.datasets()).toEqual([]);
    expect(() => vault.rows('clinic')).toThrow(TributaryError);
    vault.close();
    expect(readFileSync(path, 'latin1')).not.toContain('Jane');
    vault = openVault(path, { key });
  });
});

describe('parseFieldMap', () => {
  it.each(['', 'a', 'a=', '=b', 'a=b=c', 'a=b,a=c', 'a=b,'])('refuses "%s"', (text) => {
    expect(() => parseFieldMap(text)).toThrow(expect.objectContaining({ code: 'vault.bad-map' }) as Error);
  });
});
