/**
 * @file Training beside PyTorch and PEFT in one run: `node test/bench/train.js PYTHON SCRIPT [ROUNDS]`, where SCRIPT
 * prints a line of JSON as `pytorch_step.py` does. Both do a LoRA step of SmolLM2-135M (rank 8, all linears, 4 × 128
 * tokens, half of them supervised). They take turns, so that a noisy machine disturbs both.
 */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const [python, script, rounds = '3'] = process.argv.slice(2);
if (python === undefined || script === undefined) {
  console.error(
    'usage.invalid: Name a Python with torch and peft, and the script to run. See the head of this file.',
  );
  process.exit(2);
}
const shape = { batch: 4, length: 128, steps: 6 };
const tributary = join(import.meta.dirname, '..', '..', 'main', 'cli', 'bin.js');

const lastLine = (file, words) =>
  JSON.parse(
    execFileSync(file, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split('\n')
      .at(-1),
  );

const ours = (precision) => () => {
  const words = ['bench', 'train', '--model', 'smollm2-135m-instruct', '--json', '--precision', precision];
  const sizes = ['--batch', shape.batch, '--max-length', shape.length, '--steps', shape.steps].map(String);
  const result = lastLine(process.execPath, [tributary, ...words, ...sizes]);
  return {
    best: result.tokensPerSecondBest,
    median: result.tokensPerSecond,
    peak: result.peakRssBytes,
    first: result.secondsToFirstStep,
  };
};
const theirs = (dtype) => () => {
  const sizes = ['--batch', shape.batch, '--length', shape.length, '--steps', shape.steps].map(String);
  const result = lastLine(python, [script, ...sizes, '--dtype', dtype]);
  return {
    best: result.tokensPerSecondBest,
    median: result.tokensPerSecondMedian,
    peak: result.peakRssBytes,
    first: result.secondsToFirstStep,
  };
};

const runs = { 'tributary f32': ours('f32'), 'tributary int4': ours('int4'), 'pytorch f32': theirs('f32') };
const results = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
for (let round = 0; round < Number(rounds); round++) {
  for (const [name, run] of Object.entries(runs)) results[name].push(run());
}
const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const table = Object.fromEntries(
  Object.entries(results).map(([name, measured]) => [
    name,
    {
      'tokens/s best': Math.round(Math.max(...measured.map(({ best }) => best))),
      'tokens/s median': Math.round(middle(measured.map(({ median }) => median))),
      'peak MB': Math.round(middle(measured.map(({ peak }) => peak)) / 1e6),
      'first step s': Number(middle(measured.map(({ first }) => first)).toFixed(1)),
    },
  ]),
);
console.table(table);
