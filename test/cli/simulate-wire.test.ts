/** @file A simulation over real processes and sockets gives the adapter of the one in one process, bit for bit. */

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';

// The programs are the built ones; `npm test` builds first.

const launch = promisify(execFile);
const program = join(import.meta.dirname, '../../main/cli/bin.js');
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tributary-wire-test-'));
  const rows = Array.from({ length: 12 }, (_, row) => ({ question: `q${row % 9}`, answer: `a ${row % 9}` }));
  writeFileSync(join(root, 'rows.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
  const training = { steps: 1, batchSize: 2, maxLength: 64, precision: 'f32' };
  const federation = { rounds: 2, codec: 'int8', strategy: { name: 'scaffold' } };
  const plan = { name: 'small', model: 'tiny', adapter: { rank: 2 }, training, federation };
  writeFileSync(join(root, 'plan.json'), JSON.stringify(plan));
});
afterEach(() => rmSync(root, { recursive: true }));

async function simulate(
  out: string,
  ...more: string[]
): Promise<{ bytes: Buffer; result: Record<string, unknown> }> {
  const data = ['--data', join(root, 'rows.jsonl'), '--out', join(root, out), '--threads', '1', '--no-local'];
  const words = [program, 'simulate', join(root, 'plan.json'), ...data, ...more, '--json'];
  const { stdout } = await launch(process.execPath, words);
  const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
  return { result, bytes: readFileSync(join(String(result.adapter), 'adapter_model.safetensors')) };
}

it('with --wire', { timeout: 120_000 }, async () => {
  const alone = await simulate('alone');
  const wired = await simulate('wired', '--wire');
  expect(wired.bytes.equals(alone.bytes)).toBe(true);
  expect(wired.result.evaluation).toEqual(alone.result.evaluation);
  expect(wired.result.sites).toEqual(alone.result.sites);
  const sent = ({ result }: typeof alone) =>
    (result.rounds as { bytesUp: number }[]).map(({ bytesUp }) => bytesUp);
  for (const [round, bytes] of sent(wired).entries()) expect(bytes).toBeGreaterThan(sent(alone)[round]);
});
