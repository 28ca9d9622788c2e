/**
 * @file DPO beside TRL in one run: `node test/bench/dpo.js PYTHON PAIRS [ROUNDS] [RESULT]`, where PYTHON has what
 * `trl_dpo.py` needs, PAIRS is a JSON Lines file of prompt, chosen and rejected, and RESULT a JSON file to write. Both
 * take LoRA steps of SmolLM2-135M (rank 8, all linears) on 4 pairs of at most 256 tokens a text. They take turns, each
 * round with pairs of its own, for Tributary remembers the reference's log-probabilities of pairs that it has seen.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

const [python, pairs, rounds = '2', file] = process.argv.slice(2);
if (python === undefined || pairs === undefined) {
  console.error(
    'usage.invalid: Name a Python with torch and trl, and a file of pairs. See the head of this file.',
  );
  process.exit(2);
}
const shape = { batch: 4, length: 256, steps: 4 };
const home = process.env.TRIBUTARY_HOME ?? join(homedir(), '.tributary');
const model = join(home, 'models', 'SmolLM2-135M-Instruct.Q4_1.gguf');
const tributary = join(import.meta.dirname, '..', '..', 'main', 'cli', 'bin.js');
const scratch = mkdtempSync(join(tmpdir(), 'tributary-dpo-'));

const lastLine = (program, words) => {
  const text = execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return JSON.parse(text.trim().split('\n').at(-1));
};
const sizes = Object.values({ steps: shape.steps, batch: shape.batch, length: shape.length }).map(String);

const ours = (precision) => (rows) => {
  const words = ['train', '--objective', 'dpo', '--model', 'smollm2-135m-instruct', '--data', rows, '--json'];
  words.push('--steps', sizes[0], '--batch', sizes[1], '--max-length', sizes[2], '--precision', precision);
  const result = lastLine(process.execPath, [tributary, ...words, '--out', join(scratch, 'adapter')]);
  const { tokensPerSecond: median, tokensPerSecondBest: best, peakRssBytes: peak } = result;
  return { best, median, peak, first: result.secondsToFirstStep };
};
const theirs = (rows) => {
  const result = lastLine(python, [join(import.meta.dirname, 'trl_dpo.py'), model, rows, ...sizes]);
  const { tokensPerSecondMedian: median, tokensPerSecondBest: best, peakRssBytes: peak } = result;
  return { best, median, peak, first: result.secondsToFirstStep };
};

const reference = 'trl f32';
const runs = { 'tributary f32': ours('f32'), 'tributary int8': ours('int8'), [reference]: theirs };
const results = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
try {
  const lines = readFileSync(pairs, 'utf8').trim().split('\n');
  const needed = shape.steps * shape.batch;
  for (let round = 0; round < Number(rounds); round++) {
    Object.entries(runs).forEach(([name, run], turn) => {
      // Each of ours has pairs of its own; TRL computes the reference in every step anyway.
      const from = (round * Object.keys(runs).length + turn) * needed;
      const rows = join(scratch, 'pairs.jsonl');
      writeFileSync(rows, lines.slice(from, from + needed).join('\n'));
      const measured = run(rows);
      results[name].push(measured);
      console.error(name, measured);
    });
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const summary = Object.fromEntries(
  Object.entries(results).map(([name, measured]) => [
    name,
    Object.fromEntries(
      ['best', 'median', 'peak', 'first'].map((key) => [key, middle(measured.map((one) => one[key]))]),
    ),
  ]),
);
const table = Object.fromEntries(
  Object.entries(summary).map(([name, { best, median, peak, first }]) => [
    name,
    {
      'tokens/s best': Math.round(best),
      'tokens/s median': Math.round(median),
      'peak MB': Math.round(peak / 1e6),
      'first step s': Number(first.toFixed(1)),
      '× median': Number((median / summary[reference].median).toFixed(2)),
      '× peak': Number((peak / summary[reference].peak).toFixed(2)),
    },
  ]),
);
console.table(table);
if (file !== undefined) {
  const machine = { processor: cpus()[0]?.model, cores: cpus().length };
  writeFileSync(file, `${JSON.stringify({ machine, shape, results, summary }, null, 2)}\n`);
}
