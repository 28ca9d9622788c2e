/**
 * @file Generation beside llama.cpp on one GGUF file: `node test/bench/generate.js FOLDER [ROUNDS] [RESULT]`, where
 * FOLDER is one in which `npm install node-llama-cpp` was run and RESULT a JSON file to write. Both read 128 tokens of
 * SmolLM2-135M-Instruct Q4_1 and continue them by 64, greedily, with two threads. They take turns, so that a noisy
 * machine disturbs both; where it is busy, compare the processor time of a token (llama.cpp's threads spin while they
 * wait, which counts). Tributary is measured twice: as it is, and with `--exact`.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, homedir } from 'node:os';
import { join } from 'node:path';

const [folder, rounds = '3', file] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage.invalid: Name a folder with node-llama-cpp. See the head of this file.');
  process.exit(2);
}
const threads = process.env.THREADS ?? '2';
const shape = { promptTokens: 128, tokens: 64, threads: Number(threads) };
const tributary = join(import.meta.dirname, '..', '..', 'main', 'cli', 'bin.js');
const home = process.env.TRIBUTARY_HOME ?? join(homedir(), '.tributary');
const model = join(home, 'models', 'SmolLM2-135M-Instruct.Q4_1.gguf');
const sizes = [shape.promptTokens, shape.tokens].map(String);

const lastLine = (words) =>
  JSON.parse(
    execFileSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split('\n')
      .at(-1),
  );
const ours = (more) => () => {
  const words = ['bench', 'generate', '--model', 'smollm2-135m-instruct', '--json', '--threads', threads];
  return lastLine([tributary, ...words, '--prompt-tokens', sizes[0], '--tokens', sizes[1], ...more]);
};
const theirs = () => lastLine([join(import.meta.dirname, 'llama-cpp.js'), folder, model, ...sizes, threads]);

const runs = { tributary: ours([]), 'tributary exact': ours(['--exact']), 'llama.cpp': theirs };
const results = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
for (let round = 0; round < Number(rounds); round++) {
  for (const [name, run] of Object.entries(runs)) results[name].push(run());
}
const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const figures = [
  'tokensPerSecond',
  'prefillTokensPerSecond',
  'processorSecondsPerToken',
  'secondsToFirstToken',
  'peakRssBytes',
];
const medians = Object.fromEntries(
  Object.entries(results).map(([name, measured]) => [
    name,
    Object.fromEntries(figures.map((figure) => [figure, middle(measured.map((one) => one[figure]))])),
  ]),
);
const ratio = (name, figure) => medians[name][figure] / medians['llama.cpp'][figure];
const ratios = Object.fromEntries(
  ['tributary', 'tributary exact'].map((name) => [
    name,
    Object.fromEntries(figures.map((figure) => [figure, Number(ratio(name, figure).toFixed(2))])),
  ]),
);
console.table(
  Object.fromEntries(
    Object.entries(medians).map(([name, median]) => [
      name,
      {
        'tokens/s': Number(median.tokensPerSecond.toFixed(1)),
        'prompt tokens/s': Math.round(median.prefillTokensPerSecond),
        'processor ms/token': Number((1000 * median.processorSecondsPerToken).toFixed(1)),
        'first token s': Number(median.secondsToFirstToken.toFixed(1)),
        'peak MB': Math.round(median.peakRssBytes / 1e6),
      },
    ]),
  ),
);
console.log('as multiples of llama.cpp’s');
console.table(ratios);
if (file !== undefined) {
  const machine = { cores: cpus().length, model: cpus()[0]?.model, date: new Date().toISOString() };
  writeFileSync(file, `${JSON.stringify({ shape, machine, medians, ratios, results }, null, 2)}\n`);
}
