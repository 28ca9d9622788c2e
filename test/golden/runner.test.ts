import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runGolden } from './runner.ts';

const folder = mkdtempSync(join(tmpdir(), 'tributary-golden-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('runs the check of each vector file, names unknown files, and passes over what belongs to another', async () => {
  for (const path of [
    'README.md',
    'metrics.json',
    'tiny/forward.json',
    'tiny/model.safetensors',
    'tiny/config.v5.json',
    'tiny/adapter/adapter_config.json',
    'tiny/adapter/adapter_model.safetensors',
    'unknown/thing.json',
    'orphan/grads.safetensors',
  ]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), '{}');
  }
  const lines: string[] = [];
  const totals = await runGolden(
    folder,
    [
      {
        pattern: /(^|\/)forward\.json$/,
        check: () => [
          { name: 'loss', status: 'passed' },
          { name: 'gradients', status: 'failed', detail: 'too far off' },
        ],
      },
      {
        pattern: /^metrics\.json$/,
        check: () => {
          throw new Error('broken file');
        },
      },
    ],
    (line) => lines.push(line),
  );
  expect(totals).toEqual({ passed: 1, failed: 2, skipped: 2 });
  expect(lines).toEqual([
    'failed   metrics.json  reading the file: broken file',
    'skipped  orphan/grads.safetensors: there is no check for this file',
    'passed   tiny/forward.json  loss',
    'failed   tiny/forward.json  gradients: too far off',
    'skipped  unknown/thing.json: there is no check for this file',
  ]);
});
