/** A whole federation through the command line: the steps of the README with the model tiny. */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { until } from '../helpers/until.ts';
import { captureOutput, run } from './capture.ts';

const captured = captureOutput();
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tributary-cli-federation-'))));
afterEach(() => rmSync(folder, { recursive: true }));

type Json = Record<string, unknown>;
const events = (): Json[] =>
  captured.out
    .trimEnd()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Json);

/** Runs a command that must succeed and gives its `result`. */
async function result(...words: string[]): Promise<Json> {
  const before = events().length;
  expect(await run(...words, '--json'), captured.error).toBe(0);
  return (
    events()
      .slice(before)
      .find(({ type }) => type === 'result') ?? {}
  );
}

it(
  'joins, imports, approves, trains two rounds and verifies what it wrote',
  { timeout: 120_000 },
  async () => {
    const hub = join(folder, 'hub');
    const sites = ['north', 'river'];
    await result('hub', 'init', '--dir', hub, '--name', 'clinics');
    const running = [run('hub', 'start', '--dir', hub, '--json')];
    await until(() => expect(captured.out).toContain('listening'));

    for (const name of sites) {
      const dir = join(folder, name);
      const { invitation } = await result('hub', 'invite', '--dir', hub);
      const joined = await result('site', 'join', String(invitation), '--dir', dir, '--name', name);
      expect(joined).toMatchObject({ federation: 'clinics' });
      const rows = join(import.meta.dirname, `../../resources/samples/clinics/clinic-${name}/train.jsonl`);
      const map = 'instruction=question,response=answer';
      expect(
        await result('site', 'data', 'import', rows, '--dir', dir, '--as', 'notes', '--map', map),
      ).toMatchObject({
        rows: 66,
        skipped: 0,
      });
      await result('site', 'approve', '--dir', dir, '--standing', '--dataset', 'notes');
      running.push(run('site', 'start', '--dir', dir, '--threads', '1', '--json'));
    }

    const plan = join(folder, 'plan.json');
    writeFileSync(
      plan,
      JSON.stringify({
        name: 'trial',
        model: 'tiny',
        adapter: { rank: 2 },
        training: { steps: 2, batchSize: 2, maxLength: 512 },
        federation: { rounds: 2, minSites: 2 },
      }),
    );
    const { run: id } = await result('hub', 'propose', plan, '--dir', hub);
    await until(async () => {
      const { runs } = await result('hub', 'status', '--dir', hub);
      expect(runs).toMatchObject([{ id, state: 'completed' }]);
    });
    const rounds = events().filter(({ type }) => type === 'round');
    expect(rounds).toMatchObject([
      { round: 0, cohort: sites },
      { round: 1, cohort: sites },
    ]);
    await until(() => expect(existsSync(join(folder, 'north/adapters', String(id)))).toBe(true));
    // Nobody was cut off on the way: each site's connections ended only where its join did.
    expect(
      events().filter(({ type, reason }) => type === 'disconnected' && !/closed/.test(String(reason))),
    ).toEqual([]);

    const { leftThisMachine, state } = await result('site', 'status', '--dir', join(folder, 'north'));
    expect(state).toBe('idle');
    const { bytes, kinds } = z
      .object({ bytes: z.int().positive(), kinds: z.record(z.string(), z.int()) })
      .parse(leftThisMachine);
    expect(Object.values(kinds).reduce((sum, kind) => sum + kind, 0)).toBe(bytes);
    const out = join(folder, 'adapter');
    expect(await result('hub', 'export', '--dir', hub, '--run', String(id), '--out', out)).toMatchObject({
      adapter: out,
    });
    expect(existsSync(join(out, 'adapter_model.safetensors'))).toBe(true);

    process.emit('SIGTERM');
    expect(await Promise.all(running)).toEqual([0, 0, 0]);
    for (const name of ['hub', ...sites]) {
      expect(await result('audit', 'verify', join(folder, name))).toMatchObject({ verified: true });
    }
  },
);

it.each([
  [['status'], 'site.not-joined', 1],
  [['start'], 'site.not-joined', 1],
  [['join', 'tributary1.garbled', '--name', 'north'], 'invitation.garbled', 1],
  [['approve', '--dataset', 'notes'], 'site.not-joined', 1],
  [['data', 'import', 'rows.jsonl', '--as', 'notes', '--map', 'a'], 'vault.bad-map', 2],
  [['data', 'import', 'none.jsonl', '--as', 'notes'], 'file.not-found', 1],
])('site %j in an empty folder: %s', async (words, code, status) => {
  expect(await run('site', ...words, '--dir', join(folder, 'site'))).toBe(status);
  expect(captured.error.split(':')[0]).toBe(code);
});

it('names the broken line of an import', async () => {
  const file = join(folder, 'rows.jsonl');
  writeFileSync(file, '{"question":"a","answer":"b"}\n{"question":"a"}\n');
  const words = ['site', 'data', 'import', file, '--dir', join(folder, 'site'), '--as', 'notes'];
  expect(await run(...words)).toBe(1);
  expect(captured.error).toMatch(/^data\.broken-line: Line 2 of .*rows\.jsonl /);
  expect(await result(...words, '--skip-bad')).toMatchObject({ rows: 1, skipped: 1 });
});
