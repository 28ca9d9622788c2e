/**
 * @file Training beside PyTorch and PEFT in one run: `node test/bench/train.js PYTHON SCRIPT [ROUNDS] [RESULT] [ROWS]`,
 * where SCRIPT prints a line of JSON as `pytorch_step.py` does and RESULT is a JSON file to write. Both do a LoRA step
 * of SmolLM2-135M (rank 8, all linears): 4 × 128 tokens, half of them supervised, or, with ROWS, the rows of that JSON
 * Lines file, 16 steps of 4, 512 tokens at the most, of which only the real tokens count. They take turns, so that a
 * noisy machine disturbs both. Ratios are to PyTorch's faster one of float32 and bfloat16; where a processor has no
 * instructions for bfloat16, that turn may not end within its limit and is left out.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const [python, script, rounds = '3', file, rows] = process.argv.slice(2);
if (python === undefined || script === undefined) {
  console.error(
    'usage.invalid: Name a Python with torch and peft, and the script to run. See the head of this file.',
  );
  process.exit(2);
}
const shape = { batch: 4, length: rows === undefined ? 128 : 512, steps: rows === undefined ? 6 : 16 };
const home = process.env.TRIBUTARY_HOME ?? join(homedir(), '.tributary');
const model = join(home, 'models', 'SmolLM2-135M-Instruct.Q4_1.gguf');
const tributary = join(import.meta.dirname, '..', '..', 'main', 'cli', 'bin.js');

/** A turn that takes longer is ended. */
const LIMIT_MILLISECONDS = 4 * 60_000;

const lastLine = (file, words) =>
  JSON.parse(
    execFileSync(file, words, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: LIMIT_MILLISECONDS,
    })
      .trim()
      .split('\n')
      .at(-1),
  );

const ours =
  (precision, ...more) =>
  () => {
    const words = ['bench', 'train', '--model', 'smollm2-135m-instruct', '--json', '--precision', precision];
    const sizes = ['--batch', shape.batch, '--max-length', shape.length, '--steps', shape.steps].map(String);
    const data = rows === undefined ? [] : ['--data', rows];
    const result = lastLine(process.execPath, [tributary, ...words, ...sizes, ...data, ...more]);
    return {
      best: result.tokensPerSecondBest,
      median: result.tokensPerSecond,
      peak: result.peakRssBytes,
      first: result.secondsToFirstStep,
    };
  };
const theirs = (dtype) => () => {
  const sizes = ['--batch', shape.batch, '--length', shape.length, '--steps', shape.steps].map(String);
  const data = rows === undefined ? [] : ['--rows', rows, '--gguf', dirname(model), basename(model)];
  const result = lastLine(python, [script, ...sizes, '--dtype', dtype, ...data]);
  return {
    best: result.tokensPerSecondBest,
    median: result.tokensPerSecondMedian,
    peak: result.peakRssBytes,
    first: result.secondsToFirstStep,
  };
};

const runs = {
  'tributary f32': ours('f32'),
  'tributary int8': ours('int8'),
  'tributary int8, layers recomputed': ours('int8', '--recompute', 'layers'),
  'pytorch f32': theirs('f32'),
  'pytorch bf16': theirs('bf16'),
};
const results = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
for (let round = 0; round < Number(rounds); round++) {
  for (const [name, run] of Object.entries(runs)) {
    try {
      const measured = run();
      results[name].push(measured);
      console.error(name, measured);
    } catch (error) {
      if (error.code !== 'ETIMEDOUT') throw error;
      console.error(`${name} has not ended within ${LIMIT_MILLISECONDS / 1000} s.`);
    }
  }
}
const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const ended = Object.entries(results).filter(([, measured]) => measured.length > 0);
const summary = Object.fromEntries(
  ended.map(([name, measured]) => [
    name,
    {
      best: Math.max(...measured.map(({ best }) => best)),
      median: middle(measured.map(({ median }) => median)),
      peak: middle(measured.map(({ peak }) => peak)),
      first: middle(measured.map(({ first }) => first)),
    },
  ]),
);
const reference = ['pytorch f32', 'pytorch bf16']
  .filter((name) => name in summary)
  .toSorted((a, b) => summary[b].median - summary[a].median)[0];
const table = Object.fromEntries(
  Object.entries(summary).map(([name, { best, median, peak, first }]) => [
    name,
    {
      'tokens/s best': Math.round(best),
      'tokens/s median': Math.round(median),
      'peak MB': Math.round(peak / 1e6),
      'first step s': Number(first.toFixed(1)),
      '× best': Number((best / summary[reference].best).toFixed(2)),
      '× median': Number((median / summary[reference].median).toFixed(2)),
      '× peak': Number((peak / summary[reference].peak).toFixed(2)),
      '× first': Number((first / summary[reference].first).toFixed(2)),
    },
  ]),
);
console.table(table);
if (file !== undefined) {
  const machine = { processor: cpus()[0]?.model, cores: cpus().length };
  writeFileSync(file, `${JSON.stringify({ machine, shape, rows, results, summary }, null, 2)}\n`);
}
