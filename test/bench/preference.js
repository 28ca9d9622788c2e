/**
 * @file Learning from real preferences: `node test/bench/preference.js DATA [NAME=VALUE …]`, where DATA is a folder with
 * `hh-rlhf/harmless-test.jsonl` (rows of prompt, chosen and rejected; github.com/anthropics/hh-rlhf). Trains DPO on some
 * of the pairs and measures the accuracy of the implicit reward on 400 others. Prints JSON.
 *
 * Names: model, precision, seed, steps, batch, lr, beta, rank, characters (trained are pairs of at most so many in all),
 * length (of a pair's longer text, in tokens), prompt (its prompt is not cut below it), out (keeps the adapter). The
 * pairs that are measured are of any length.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

const HELD_OUT = 400;
const [data, ...given] = process.argv.slice(2);
if (data === undefined) {
  console.error('usage.invalid: Name a folder of data. See the head of this file.');
  process.exit(2);
}
const settings = {
  model: 'smollm2-135m-instruct',
  precision: 'f32',
  seed: '1',
  steps: '40',
  batch: '8',
  lr: '5e-4',
  beta: '0.1',
  rank: '8',
  characters: '400',
  length: '144',
  prompt: '48',
  ...Object.fromEntries(given.map((word) => word.split('='))),
};

const tributary = join(import.meta.dirname, '..', '..', 'main', 'cli', 'bin.js');
const scratch = mkdtempSync(join(tmpdir(), 'tributary-preference-'));

/** Runs a command and returns its result; the steps that it tells are shown. */
async function run(command, words) {
  const started = performance.now();
  const child = spawn(process.execPath, [tributary, command, ...words, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let result;
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line);
    if (message.type === 'step') {
      const { step, loss, accuracy, margin } = message;
      const seconds = (performance.now() - started) / 1000;
      console.error(
        `step ${step}  loss ${loss.toFixed(4)}  accuracy ${accuracy}  margin ${margin.toFixed(3)}  ${seconds.toFixed(0)} s`,
      );
    } else result = message;
  }
  if (result?.type !== 'result') throw new Error(`${command} failed: ${JSON.stringify(result)}`);
  return { ...result, seconds: (performance.now() - started) / 1000 };
}

/** The pairs in an order that depends on the seed alone. */
function shuffled(lines) {
  const order = (line) => createHash('sha256').update(`${settings.seed}\n${line}`).digest('hex');
  return lines.toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
}

const lines = readFileSync(join(data, 'hh-rlhf', 'harmless-test.jsonl'), 'utf8')
  .trim()
  .split('\n');
const pairs = shuffled(lines);
const heldOut = pairs.slice(0, HELD_OUT);
// Dialogues that begin alike are of one conversation, and would not be new to the model.
const beginning = (line) => JSON.parse(line).prompt[0].content;
const known = new Set(heldOut.map(beginning));
const characters = ({ prompt, chosen, rejected }) =>
  prompt.reduce((sum, { content }) => sum + content.length, chosen.length + rejected.length);
const training = pairs
  .slice(HELD_OUT)
  .filter((line) => !known.has(beginning(line)))
  .filter((line) => characters(JSON.parse(line)) <= Number(settings.characters));
const files = { training: join(scratch, 'training.jsonl'), heldOut: join(scratch, 'held-out.jsonl') };
writeFileSync(files.training, training.join('\n'));
writeFileSync(files.heldOut, heldOut.join('\n'));

try {
  const adapter = settings.out ?? join(scratch, 'adapter');
  const { model, precision, batch, length, prompt, beta } = settings;
  const same = ['--model', model, '--precision', precision, '--beta', beta];
  same.push('--max-length', length, '--max-prompt-length', prompt);
  const words = ['--objective', 'dpo', '--data', files.training, '--batch', batch, '--out', adapter];
  for (const name of ['steps', 'lr', 'rank', 'seed']) words.push(`--${name}`, settings[name]);
  words.push('--alpha', String(2 * Number(settings.rank)));
  const trained = await run('train', [...same, ...words]);
  const evaluated = await run('evaluate', [
    ...same,
    '--task',
    files.heldOut,
    '--adapter',
    adapter,
    '--batch',
    '4',
  ]);
  const mean = (steps, key) => steps.reduce((sum, step) => sum + step[key], 0) / steps.length;
  const tenth = Math.ceil(trained.steps.length / 10);
  const { accuracy, margin, loss, likelihoodAccuracy } = evaluated.metrics;
  console.log(
    JSON.stringify(
      {
        settings,
        pairs: {
          training: training.length,
          seen: trained.steps.length * Number(batch),
          heldOut: evaluated.n,
        },
        skipped: { training: trained.skipped, heldOut: evaluated.skipped },
        trainingSeconds: trained.seconds,
        evaluationSeconds: evaluated.seconds,
        peakRssBytes: trained.peakRssBytes,
        firstTenth: { loss: mean(trained.steps.slice(0, tenth), 'loss') },
        lastTenth: {
          loss: mean(trained.steps.slice(-tenth), 'loss'),
          accuracy: mean(trained.steps.slice(-tenth), 'accuracy'),
        },
        heldOut: { accuracy, margin, loss, likelihoodAccuracy },
        aboveOneHalf: accuracy.low > 0.5,
      },
      null,
      2,
    ),
  );
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
