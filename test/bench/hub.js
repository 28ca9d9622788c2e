/**
 * @file Rounds without training beside Flower in one run: `node test/bench/hub.js PYTHON SCRIPT [SITES] [ROUNDS] [CODEC]`, where
 * SCRIPT prints a line of JSON as `flower_round.py` does (seconds and loopback bytes a round, the server's peak RSS) for
 * an adapter of 4 884 480 float32 values. Both move the same adapter between the same number of sites.
 */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const [python, script, sites = '8', rounds = '10', codec = 'int8'] = process.argv.slice(2);
if (python === undefined || script === undefined) {
  console.error('usage.invalid: Name a Python with flwr 1.x and numpy, and the script to run.');
  process.exit(2);
}
const tributary = join(import.meta.dirname, '..', '..', 'main', 'cli', 'bin.js');
const lastLine = (file, words) =>
  JSON.parse(
    execFileSync(file, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split('\n')
      .at(-1),
  );
const sizes = ['--sites', sites, '--rounds', rounds];
const theirs = lastLine(python, [script, ...sizes]);
const ours = lastLine(process.execPath, [tributary, 'bench', 'hub', '--json', '--codec', codec, ...sizes]);
console.table({
  [theirs.system]: {
    'seconds a round': theirs.secondsPerRoundMedian,
    'bytes a round': theirs.bytesPerRoundMedian,
    'peak RSS': theirs.serverPeakRssBytes,
  },
  tributary: {
    'seconds a round': ours.secondsPerRoundMedian,
    'bytes a round': ours.bytesPerRoundMedian,
    'peak RSS': ours.hubPeakRssBytes,
  },
  ratio: {
    'seconds a round': ours.secondsPerRoundMedian / theirs.secondsPerRoundMedian,
    'bytes a round': ours.bytesPerRoundMedian / theirs.bytesPerRoundMedian,
    'peak RSS': ours.hubPeakRssBytes / theirs.serverPeakRssBytes,
  },
});
