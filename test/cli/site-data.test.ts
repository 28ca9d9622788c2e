import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { captureOutput, run } from './capture.ts';

const captured = captureOutput();
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tributary-cli-data-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs a command of `site data` that must succeed and gives its `result`. */
async function data(...words: string[]): Promise<Record<string, unknown>> {
  captured.out = '';
  expect(await run('site', 'data', ...words, '--dir', join(folder, 'site'), '--json'), captured.error).toBe(
    0,
  );
  return JSON.parse(captured.out.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

function table(): string {
  const path = join(folder, 'notes.csv');
  const rows = Array.from({ length: 60 }, (_, i) => `p${i % 20},q${i},"Call (212) 555-0147, Dr. Roe"`);
  writeFileSync(path, ['patient_id,question,answer', ...rows, 'p1,,nothing'].join('\n'));
  return path;
}

it('takes a file from its inspection to its withdrawal', async () => {
  const file = table();
  await data('import', file, '--as', 'plain', '--skip-bad');
  expect(await data('inspect', file)).toMatchObject({
    format: 'csv',
    person: 'patient_id',
    guess: { mapping: { kind: 'instruction' } },
  });
  const choices = ['--personal', 'phone=mask,name=mask', '--split', 'validation=0.2,test=0.1'];
  const imported = await data(
    'import',
    file,
    '--as',
    'notes',
    '--skip-bad',
    '--person',
    'patient_id',
    ...choices,
  );
  expect(imported).toMatchObject({
    rows: 60,
    skipped: 1,
    sameFile: ['plain@1'],
    personal: { phone: { choice: 'mask', findings: 60, rows: 60 }, name: { choice: 'mask', findings: 60 } },
    unasked: [],
  });
  const { rows, total } = await data('rows', 'notes', '--limit', '60');
  expect(total).toBe(60);
  const shown = rows as { split: string; row: { response: string } }[];
  expect(new Set(shown.map(({ row }) => row.response))).toEqual(new Set(['Call [PHONE], Dr. [NAME]']));
  expect(new Set(shown.map(({ split }) => split)).size).toBeGreaterThan(1);
  expect(await data('search', 'notes', 'q17')).toMatchObject({ hits: [{ position: 17 }], complete: true });
  expect(await data('preview', 'notes', '--model', 'tiny')).toMatchObject({ reason: null, model: 'tiny' });
  const out = join(folder, 'out.csv');
  expect(await data('export', 'notes', '--format', 'csv', '--out', out)).toMatchObject({ rows: 60 });
  expect(readFileSync(out, 'utf8')).toContain('\r\nq0,"Call [PHONE], Dr. [NAME]"\r\n');
  expect(await data('withdraw', 'notes')).toMatchObject({ withdrawn: false, rows: 60 });
  expect(await data('withdraw', 'notes', '--yes')).toMatchObject({ withdrawn: true, adapters: [] });
  expect(await data('list')).toMatchObject({ datasets: [{ name: 'plain' }] });
});

it('says what was kept where nothing was said of personal data, and shows it veiled', async () => {
  const imported = await data('import', table(), '--as', 'notes', '--skip-bad');
  expect(imported).toMatchObject({
    personal: null,
    unasked: [
      { kind: 'phone', count: 60 },
      { kind: 'name', count: 60 },
    ],
  });
  const screening = await data('screen', 'notes');
  expect(screening).toMatchObject({
    rows: 60,
    findings: [{ kind: 'phone', samples: ['(2•••) •••-•••'] }, { kind: 'name' }],
  });
});

it('takes a mapping from a file, and refuses one that is none', async () => {
  const mapping = join(folder, 'mapping.json');
  const value = {
    kind: 'text-template',
    template: { prompt: 'Asked by {patient_id}: {question}', response: '{answer}' },
  };
  writeFileSync(mapping, JSON.stringify(value));
  await data('import', table(), '--as', 'notes', '--skip-bad', '--mapping', mapping);
  expect(await data('rows', 'notes', '--limit', '1')).toMatchObject({
    rows: [{ row: { instruction: 'Asked by p0: q0' } }],
  });
  writeFileSync(mapping, '{"kind":"none"}');
  const words = [
    'site',
    'data',
    'import',
    table(),
    '--as',
    'more',
    '--mapping',
    mapping,
    '--dir',
    join(folder, 'site'),
  ];
  expect(await run(...words)).toBe(2);
  expect(captured.error).toContain('vault.bad-map');
});

it('lists public datasets, fetches one, and imports it as its catalogue says', async () => {
  const rows = readFileSync(join(import.meta.dirname, '../../resources/datasets.json'), 'utf8');
  const { datasets } = await data('fetch');
  expect((datasets as { id: string }[]).map(({ id }) => id)).toEqual(
    (JSON.parse(rows) as { datasets: { id: string }[] }).datasets.map(({ id }) => id),
  );
  const columns = ['instruction', 'input', 'output', 'text'];
  const file = new Uint8Array(
    parquetWriteBuffer({
      columnData: columns.map((name) => ({
        ...{ name, type: 'STRING' as const },
        data: Array.from({ length: 30 }, (_, row) => `${name} ${row}`),
      })),
    }),
  );
  const server = createServer((request, response) => {
    expect(request.url).toBe(
      '/datasets/tatsu-lab/alpaca/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet',
    );
    response.writeHead(200, { 'content-length': file.length }).end(file);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  vi.stubEnv('TRIBUTARY_HOME', join(folder, 'home'));
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    const only = await data('fetch', 'alpaca');
    expect(only).toMatchObject({ path: join(folder, 'home/datasets/alpaca.parquet'), pinned: false });
    // It is here now, and nobody is asked again.
    server.close();
    const imported = await data('fetch', 'alpaca', '--as', 'public');
    expect(imported).toMatchObject({ rows: 30, skipped: 0, licence: 'CC BY-NC 4.0' });
    const page = await data('rows', 'public', '--limit', '1');
    expect(page.rows).toMatchObject([
      { row: { instruction: 'instruction 0', input: 'input 0', response: 'output 0' } },
    ]);
  } finally {
    server.close();
    vi.unstubAllEnvs();
  }
});
