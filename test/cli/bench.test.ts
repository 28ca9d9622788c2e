import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { captureOutput, run } from './capture.ts';

const folder = mkdtempSync(join(tmpdir(), 'tributary-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));
process.env['TRIBUTARY_HOME'] = folder;

const captured = captureOutput();

describe('bench', () => {
  it('says of a training what took the time', async () => {
    const words = ['bench', 'train', '--model', 'tiny', '--batch', '2', '--max-length', '16', '--steps', '2'];
    expect(await run(...words, '--profile', '--json')).toBe(0);
    const result = JSON.parse(captured.out.trim().split('\n').at(-1) ?? '') as {
      costs: { operators: { name: string; calls: number; milliseconds: number }[] };
    };
    const { operators } = result.costs;
    expect(operators.map(({ name }) => name)).toContain('Gemm');
    expect(operators.every(({ calls, milliseconds }) => calls > 0 && milliseconds >= 0)).toBe(true);
  }, 60_000);

  it('says of the graph of a training how large it is, the larger and leaner the more is computed again', async () => {
    expect(await run('bench', 'graph', '--model', 'tiny', '--json')).toBe(0);
    const { graphs } = JSON.parse(captured.out) as {
      graphs: { recompute: string; nodes: number; estimatedPeakBytes: number }[];
    };
    expect(graphs.map(({ recompute }) => recompute)).toEqual(['none', 'light', 'layers']);
    expect(graphs[2].nodes).toBeGreaterThan(graphs[0].nodes);
  });
});
