/**
 * @file Whether memory stays flat while training: `node test/bench/memory.js [MODEL] [STEPS] [MINUTES]`. Trains on rows
 * of many lengths, samples the resident memory of the training process, and prints how much it has grown from step 50
 * to the end. Exits with 1 beyond 2 %. Linux and macOS.
 */

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const [model = 'tiny', steps = '500', minutes = '5'] = process.argv.slice(2);
const first = 50;
const window = 10;
const limitPercent = 2;
const tributary = join(import.meta.dirname, '..', '..', 'main', 'cli', 'bin.js');

/** Resident bytes of the children of a process, all together. */
function residentBytes(parent) {
  const table = execFileSync('ps', ['-A', '-o', 'ppid=,rss='], { encoding: 'utf8' });
  const rows = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return rows.filter(([of]) => of === parent).reduce((sum, [, kibibytes]) => sum + kibibytes * 1024, 0);
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

const folder = mkdtempSync(join(tmpdir(), 'tributary-memory-'));
try {
  const data = join(folder, 'rows.jsonl');
  const row = (index) => ({
    instruction: `What is said in room ${index}?`,
    response: 'It is warm here and quiet. '.repeat(1 + ((index * 7) % 8)),
  });
  writeFileSync(data, Array.from({ length: 64 }, (_, index) => JSON.stringify(row(index))).join('\n'));
  const words = [
    'train',
    '--json',
    '--model',
    model,
    '--data',
    data,
    '--steps',
    steps,
    '--max-length',
    '256',
  ];
  const child = spawn(process.execPath, [tributary, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = Date.now() + Number(minutes) * 60_000;
  const samples = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (JSON.parse(line).type !== 'step') continue;
    const resident = residentBytes(child.pid);
    // The last steps may be told when the process has ended.
    if (resident > 0) samples.push(resident);
    if (Date.now() > ended) child.kill('SIGTERM');
  }
  if (samples.length < first + 2 * window) {
    console.log(`${samples.length} steps are too few to say: ${first + 2 * window} are needed.`);
    process.exitCode = 1;
  } else {
    const before = mean(samples.slice(first, first + window));
    const after = mean(samples.slice(-window));
    const growth = 100 * (after / before - 1);
    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
    console.log(
      `${model}: ${megabytes(before)} at step ${first}, ${megabytes(after)} at step ${samples.length}, ` +
        `${growth.toFixed(2)} % more (at most ${limitPercent} %).`,
    );
    if (growth > limitPercent) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
