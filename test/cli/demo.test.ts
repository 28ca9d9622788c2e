/** The demonstration as its user sees it, from the built program, with a site killed on the way. */

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from 'vitest';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tributary-demo-'))));
afterEach(() => rmSync(folder, { recursive: true }));

interface Line {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** Runs the demonstration to its end; every line it prints passes `onLine` first. */
async function demo(words: readonly string[], onLine: (line: Line) => void): Promise<Line[]> {
  const program = join(import.meta.dirname, '../../main/cli/bin.js');
  const child = spawn(process.execPath, [program, 'demo', '--json', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: Line[] = [];
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    onLine(line);
  });
  const status = await new Promise((resolve) => child.once('close', resolve));
  expect(status, JSON.stringify(lines.at(-1))).toBe(0);
  return lines;
}

it(
  'ends with the result of its contract although a site is killed after the first round',
  { timeout: 180_000 },
  async () => {
    const dir = join(folder, 'demo');
    const processes = new Map<string, number[]>();
    const lines = await demo(['--model', 'tiny', '--rounds', '3', '--steps', '2', '--dir', dir], (line) => {
      if (line.type === 'process') {
        const name = String(line.name);
        processes.set(name, [...(processes.get(name) ?? []), Number(line.pid)]);
      }
      if (line.type === 'round' && line.round === 0)
        process.kill(processes.get('clinic-river')![0], 'SIGKILL');
    });
    expect(processes.get('clinic-river')).toHaveLength(2);
    expect(processes.get('clinic-north')).toHaveLength(1);
    expect(lines.at(-1)).toMatchObject({
      type: 'result',
      model: { id: 'tiny' },
      sites: ['clinic-harbour', 'clinic-north', 'clinic-river'].map((name) => ({ name, rows: 66 })),
      rounds: [{ round: 0 }, { round: 1 }, { round: 2 }],
      adapter: join(dir, 'adapter'),
      ledger: { verified: true },
    });
    const { evaluation } = lines.at(-1) as unknown as Record<'evaluation', Record<string, { loss: number }>>;
    expect(evaluation.federated.loss).toBeLessThan(evaluation.base.loss);
    expect(evaluation.local.loss).toBeLessThan(evaluation.base.loss);
    expect(existsSync(join(dir, 'adapter', 'adapter_model.safetensors'))).toBe(true);
  },
);

interface PreferenceScores {
  readonly loss: number;
  readonly perplexity: number;
  readonly accuracy: number;
  readonly margin: number;
  readonly likelihoodAccuracy: number;
}

it.runIf(process.env.TRIBUTARY_LONG_TESTS)(
  'with dpo ends with the same contract, and with accuracies and margins (npm run test:long)',
  { timeout: 180_000 },
  async () => {
    const dir = join(folder, 'demo');
    const words = ['--model', 'tiny', '--objective', 'dpo', '--rounds', '2', '--steps', '2', '--dir', dir];
    const lines = await demo(words, () => undefined);
    const result = lines.at(-1) as unknown as {
      readonly rounds: readonly { readonly accuracy: number; readonly margin: number }[];
      readonly evaluation: Record<'base' | 'local' | 'federated', PreferenceScores>;
    };
    expect(result).toMatchObject({
      type: 'result',
      model: { id: 'tiny' },
      sites: ['clinic-harbour', 'clinic-north', 'clinic-river'].map((name) => ({ name, rows: 60 })),
      rounds: [{ round: 0 }, { round: 1 }],
      adapter: join(dir, 'adapter'),
      ledger: { verified: true },
    });
    for (const { accuracy, margin } of result.rounds) {
      expect(accuracy).toBeGreaterThan(0.5); // on the pairs that are trained on
      expect(margin).toBeGreaterThan(0);
    }
    const { base, local, federated } = result.evaluation;
    expect(base).toMatchObject({ accuracy: 0.5, margin: 0 });
    expect(base.loss).toBeCloseTo(Math.LN2, 6);
    for (const { loss, perplexity, accuracy, margin, likelihoodAccuracy } of [local, federated]) {
      expect(loss).toBeLessThan(base.loss);
      expect(margin).toBeGreaterThan(0);
      expect(accuracy).toBeGreaterThan(0.5);
      for (const share of [accuracy, likelihoodAccuracy]) expect(share).toBeLessThanOrEqual(1);
      expect(perplexity).toBeGreaterThan(1);
    }
  },
);
