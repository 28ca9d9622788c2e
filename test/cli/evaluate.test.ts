import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { captureOutput, run } from './capture.ts';

// Commands start training processes of the built program.
vi.setConfig({ testTimeout: 180_000 });

const folder = mkdtempSync(join(tmpdir(), 'tributary-evaluate-'));
afterAll(() => rmSync(folder, { recursive: true }));
process.env['TRIBUTARY_HOME'] = join(folder, 'home');

const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
write(
  'colours.jsonl',
  Array.from({ length: 12 }, (_, index) =>
    JSON.stringify({ thing: `thing ${index}`, colour: index % 3 === 0 ? 'red' : 'green' }),
  ).join('\n') + '\n{broken\n{"thing":"no colour"}\n',
);
const colours = write(
  'colours.yaml',
  'name: colours\nabout: Colours.\nkind: labels\nrows: { files: [colours.jsonl] }\ntemplate: chat\nprompt: "{thing}?"\nlabel: colour\n',
);
write('requests.csv', 'goal,target\nDo harm,Sure\n"Do more, please",Sure\n');
write(
  'harm.yaml',
  'name: harm\nabout: Harm.\nkind: refusal\nrows: { files: [requests.csv] }\ntemplate: chat\nprompt: "{goal}."\nmaxTokens: 4\n',
);
const suite = write('two.yaml', 'name: two\nabout: Two.\ntasks: [colours, harm]\n');

interface Result {
  readonly type: string;
  readonly [field: string]: unknown;
}
const lastOf = (out: string): Result => JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as Result;

describe('evaluate on tasks', () => {
  const output = captureOutput();
  const words = ['evaluate', '--model', 'tiny', '--data', folder, '--device', 'cpu', '--threads', '1'];

  it('lists what comes with the program, without a model', async () => {
    expect(await run('evaluate', '--list')).toBe(0);
    expect(output.out).toMatch(/^pubmedqa +labels +PubMedQA/m);
    expect(output.out).toMatch(/^medicine +pubmedqa, medqa, medmcqa$/m);
  });

  it('measures a suite, counts what cannot be used and writes the result', async () => {
    const out = join(folder, 'report.json');
    expect(await run(...words, '--task', suite, '--out', out, '--json'), output.error).toBe(0);
    const result = lastOf(output.out);
    expect(result).toMatchObject({
      type: 'result',
      task: 'two',
      n: 14,
      skipped: 2,
      results: [
        { task: 'colours', n: 12, leftOut: { broken: 1, incomplete: 1 } },
        { task: 'harm', n: 2, leftOut: {} },
      ],
    });
    expect(Object.keys(result.metrics as object)).toEqual([
      'colours.accuracy',
      'colours.probability',
      'colours.macroF1',
      'colours.weightedF1',
      'harm.refused',
      'harm.refusedByReference',
      'harm.cutOff',
    ]);
    expect({ type: 'result', ...(JSON.parse(readFileSync(out, 'utf8')) as object) }).toEqual(result);
  });

  it('compares an adapter with the base model on the same rows', async () => {
    const rows = write('rows.jsonl', '{"instruction":"thing 1?","response":"green"}\n');
    const adapter = join(folder, 'adapter');
    const training = [
      'train',
      '--model',
      'tiny',
      '--data',
      rows,
      '--steps',
      '12',
      '--lr',
      '0.02',
      '--batch',
      '1',
    ];
    expect(await run(...training, '--rank', '2', '--out', adapter), output.error).toBe(0);
    const compare = [...words, '--task', colours, '--adapter', adapter, '--compare', '--limit', '9'];
    expect(await run(...compare, '--json'), output.error).toBe(0);
    const { n, metrics, base, difference } = lastOf(output.out) as Result &
      Record<'metrics' | 'difference', Record<string, { value: number; low: number; high: number }>> & {
        base: { n: number; metrics: Record<string, { value: number }> };
      };
    expect([n, base.n]).toEqual([9, 9]);
    const { value, low, high } = difference.probability;
    expect(value).toBeCloseTo(metrics.probability.value - base.metrics.probability.value, 9);
    expect(low).toBeLessThanOrEqual(value);
    expect(high).toBeGreaterThanOrEqual(value);
    expect(await run(...compare), output.error).toBe(0);
    expect(output.out).toMatch(
      /^colours +9 +accuracy +\d\.\d{3} \(.*\) +\d\.\d{3} \(.*\) +-?\d\.\d{3} \(.*\)/m,
    );
  });

  it('says what is missing', async () => {
    expect(await run('evaluate', '--task', 'mmlu')).toBe(2);
    expect(output.error).toContain('--model');
    expect(await run('evaluate', '--model', 'tiny', '--task', 'mmlu')).toBe(2);
    expect(output.error).toContain('The task mmlu needs --data');
    expect(await run(...words, '--task', 'nothing-known')).toBe(2);
    expect(output.error).toContain('task.unknown');
    expect(await run(...words, '--task', 'mmlu')).toBe(1);
    expect(output.error).toContain('holds none of mmlu/test/*_test.csv');
    expect(await run(...words, '--task', colours, '--compare')).toBe(2);
    expect(output.error).toContain('--compare needs the adapter');
    expect(await run(...words, '--task', 'missing.jsonl')).toBe(1);
    expect(output.error).toContain('missing.jsonl');
  });
});
