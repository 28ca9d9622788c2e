import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { temporaryFolder } from '../model/fixtures.ts';
import { captureOutput, run } from './capture.ts';

// The training process is the built program; `npm test` builds first.

const captured = captureOutput();
const folder = temporaryFolder();
const before = process.env['TRIBUTARY_HOME'];
beforeAll(() => (process.env['TRIBUTARY_HOME'] = folder));
afterAll(() => {
  if (before === undefined) delete process.env['TRIBUTARY_HOME'];
  else process.env['TRIBUTARY_HOME'] = before;
});

const data = join(folder, 'pairs.jsonl');
const pairs = ['Hot?', 'Cold?', 'Wet?', 'Dry?'].map((prompt) => ({
  prompt,
  chosen: 'Very.',
  rejected: 'Who knows?',
}));
writeFileSync(data, pairs.map((pair) => JSON.stringify(pair)).join('\n'));

const model = ['--model', 'tiny', '--threads', '1', '--json'];
const training = ['train', ...model, '--objective', 'dpo', '--data', data, '--lr', '1e-2'];

function messages(): Record<string, unknown>[] {
  return captured.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Mean margin of the pairs of the first step. */
function firstMargin(): number {
  return Number(messages().find(({ type }) => type === 'step')?.margin);
}

it('trains on pairs, goes on with the adapter as its own reference, and measures both', async () => {
  const [first, second] = [join(folder, 'first'), join(folder, 'second')];
  expect(await run(...training, '--steps', '6', '--out', first)).toBe(0);
  const steps = messages().filter(({ type }) => type === 'step');
  expect(steps).toHaveLength(6);
  expect(steps[5]).toMatchObject({ step: 6, accuracy: 1 });
  expect(steps[5].margin).toBeGreaterThan(0.5);

  captured.out = '';
  expect(await run(...training, '--steps', '1', '--adapter', first, '--out', second)).toBe(0);
  expect(Math.abs(firstMargin())).toBeLessThan(1e-4);

  captured.out = '';
  expect(await run(...training, '--steps', '1', '--adapter', first, '--reference', 'base')).toBe(0);
  expect(firstMargin()).toBeGreaterThan(0.5);

  captured.out = '';
  const evaluation = ['evaluate', ...model, '--task', data, '--adapter', second];
  expect(await run(...evaluation)).toBe(0);
  expect(await run(...evaluation, '--reference', second)).toBe(0);
  const results = messages().filter(({ type }) => type === 'result');
  const [against, itself] = results.map(({ metrics }) => metrics);
  // Wilson's interval of 4 among 4: n / (n + z²).
  expect(against).toMatchObject({
    accuracy: { value: 1, low: expect.closeTo(4 / (4 + 1.96 ** 2), 4) as number, high: 1 },
  });
  expect(itself).toMatchObject({ margin: { value: expect.closeTo(0, 4) as number } });
  rmSync(second, { recursive: true });
});

it.each([
  [['--reference', 'adapter'], 'The value “adapter” of --reference is not valid: it needs --adapter'],
  [
    ['--dpo-loss', 'ipo', '--label-smoothing', '0.1'],
    'The value “0.1” of --label-smoothing is not valid: ipo takes none',
  ],
  [['--beta', '0'], 'The value “0” of --beta is not valid: expected more than 0'],
  [['--label-smoothing', '0.5'], 'The value “0.5” of --label-smoothing is not valid: expected less than 0.5'],
])('refuses %j', async (words, message) => {
  expect(await run(...training, ...words)).toBe(2);
  expect(messages()[0]).toMatchObject({ code: 'usage.invalid', message });
});
