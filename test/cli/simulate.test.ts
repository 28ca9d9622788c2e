import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { STRATEGIES } from '../../core/federation/strategies/table.ts';
import { captureOutput, run } from './capture.ts';

// The trainer's process is the built program; `npm test` builds first.

const captured = captureOutput();
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tributary-simulate-'));
  mkdirSync(join(root, 'data', 'north'), { recursive: true });
  mkdirSync(join(root, 'data', 'south'));
  const write = (file: string, from: number, count: number): void => {
    const rows = Array.from({ length: count }, (_, row) => ({
      question: `q${from + row}`,
      answer: `a ${row}`,
    }));
    writeFileSync(join(root, 'data', file), rows.map((row) => JSON.stringify(row)).join('\n'));
  };
  write('north/train.jsonl', 0, 8);
  write('south/train.jsonl', 100, 9);
  write('south/heldout.jsonl', 200, 3);
  write('heldout.jsonl', 300, 2);
  writeFileSync(
    join(root, 'plan.yaml'),
    'name: small\nmodel: tiny\nadapter: { rank: 2 }\n' +
      'training: { steps: 1, batchSize: 2, maxLength: 64, precision: f32 }\nfederation: { rounds: 2 }\n',
  );
});
afterEach(() => rmSync(root, { recursive: true }));

function simulate(...more: string[]): Promise<number> {
  const words = ['--data', join(root, 'data'), '--out', join(root, 'out'), '--threads', '1'];
  return run('simulate', join(root, 'plan.yaml'), ...words, ...more);
}

it('ends with a result like the demonstration’s', { timeout: 120_000 }, async () => {
  expect(await simulate('--partition', 'source', '--centralised', '--json')).toBe(0);
  const lines = captured.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const result = lines.at(-1) as {
    readonly evaluation: Record<string, { readonly loss: number }>;
    readonly adapter: string;
  };
  expect(result).toMatchObject({
    type: 'result',
    model: { id: 'tiny' },
    sites: [
      { name: 'north', rows: 8, cohortRounds: 2 },
      { name: 'south', rows: 9, cohortRounds: 2 },
    ],
    heldOutRows: 5,
    rounds: [{ round: 0 }, { round: 1 }],
    ledger: null,
  });
  for (const name of ['base', 'local', 'federated', 'centralised']) {
    const { loss, perplexity, intervals } = result.evaluation[name] as unknown as {
      loss: number;
      perplexity: number;
      intervals: { loss: [number, number] };
    };
    expect(perplexity).toBeCloseTo(Math.exp(loss), 9);
    expect(intervals.loss[0]).toBeLessThanOrEqual(loss);
    expect(intervals.loss[1]).toBeGreaterThanOrEqual(loss);
  }
  expect(result.evaluation.federated.loss).toBeLessThan(result.evaluation.base.loss);
  expect(existsSync(join(result.adapter, 'adapter_model.safetensors'))).toBe(true);
  expect(lines.filter(({ type }) => type === 'round')).toHaveLength(2);
});

it('prints a table, and a second time from what is kept', { timeout: 120_000 }, async () => {
  expect(await simulate('--sites', '2', '--seeds', '1,2', '--strategies', 'fedyogi,local')).toBe(0);
  expect(captured.out).toMatch(/Means over 2 seeds/);
  expect(captured.out).toMatch(/base model +\d/);
  expect(captured.out).toMatch(/a site alone \(mean\) +\d/);
  expect(captured.out).toMatch(/fedyogi against a site alone, row by row: loss -?\d/);
  const first = captured.out.split('\n').filter((line) => line.startsWith('  '));
  captured.out = '';
  expect(await simulate('--sites', '2', '--seeds', '1,2', '--strategies', 'fedyogi,local')).toBe(0);
  expect(captured.out.split('\n').filter((line) => line.startsWith('  '))).toEqual(first);
});

it('completes with every strategy of the table', { timeout: 240_000 }, async () => {
  const names = Object.keys(STRATEGIES).filter((name) => name !== 'local');
  const list = ['local', ...names].join(',');
  expect(await simulate('--sites', '2', '--strategies', list, '--json')).toBe(0);
  const result = JSON.parse(captured.out.trimEnd().split('\n').at(-1) ?? '') as {
    readonly evaluation: { readonly strategies: Record<string, { readonly loss: number }> };
    readonly combinations: readonly { readonly model: string }[];
  };
  expect(result.combinations.map(({ model }) => model)).toEqual(['base', 'local', ...names]);
  for (const { loss } of Object.values(result.evaluation.strategies)) expect(loss).toBeLessThan(20);
});

it('runs a strategy from a file of one’s own beside those of the table', { timeout: 120_000 }, async () => {
  const file = join(import.meta.dirname, '../../resources/strategies/slow-average.ts');
  expect(await simulate('--sites', '2', '--strategy', file, '--no-local', '--json')).toBe(0);
  const result = JSON.parse(captured.out.trimEnd().split('\n').at(-1) ?? '') as {
    readonly evaluation: { readonly strategies: Record<string, { readonly loss: number }> };
  };
  const { fedavg, 'slow-average': slow } = result.evaluation.strategies;
  expect(slow.loss).not.toBe(fedavg.loss);
});

it('plays drawn faults, and listed ones', { timeout: 120_000 }, async () => {
  const plan = join(root, 'plan.yaml');
  expect(await run('simulate', plan, '--fault-seed', '7', '--fault-runs', '2', '--json')).toBe(0);
  const [first, second, result] = captured.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(first).toMatchObject({ type: 'scenario', seed: 7, violations: [] });
  expect(second).toMatchObject({ type: 'scenario', seed: 8, violations: [] });
  expect(result).toMatchObject({ type: 'result', runs: 2, held: 2 });

  const faults = join(root, 'faults.json');
  writeFileSync(faults, JSON.stringify([{ kind: 'site-stop', at: 1, site: 'site-002', seconds: 3 }]));
  expect(await run('simulate', plan, '--faults', faults)).toBe(0);
  expect(captured.error).toContain('1 runs: 1 held, in 1 every site counted in every round.');
  writeFileSync(faults, JSON.stringify([{ kind: 'site-stop', at: 1, site: 'north', seconds: 3 }]));
  expect(await run('simulate', plan, '--faults', faults)).toBe(2);
  expect(captured.error).toContain('simulation.bad-faults');
  writeFileSync(faults, JSON.stringify([{ kind: 'flood', at: 1 }]));
  expect(await run('simulate', plan, '--faults', faults)).toBe(2);
});

it.each([
  [['--sites', '3', '--partition', 'source'], 'usage.invalid: The data have 2 sources (north, south), not 3'],
  [['--sites', '9'], 'simulation.too-few-rows: 17 rows cannot be divided among 9 sites'],
  [['--sites', '1'], 'simulation.too-few-sites: The plan begins with 2 sites'],
  [['--strategies', 'fedbest'], 'usage.invalid: There is no strategy fedbest; known are fedavg'],
  [['--partition', 'dirichlet', '--by', 'label'], 'simulation.no-label: Row 1 has no field label'],
])('refuses %j', async (words, message) => {
  expect(await simulate(...words)).toBe(2);
  expect(captured.error).toContain(message);
});
