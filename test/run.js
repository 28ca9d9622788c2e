/**
 * @file `npm test`: the build, types, lint, format and all tests, each check counted as one test. `npm run test:long`
 * kills processes on both sides of every transition, plays 2 000 seeds of faults and demonstrates DPO too, which takes
 * the better part of an hour.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

if (process.argv.includes('--long')) process.env.TRIBUTARY_LONG_TESTS = '1';

const root = join(import.meta.dirname, '..');
const tool = (path) => join(root, 'node_modules', path);

/** Where tests put their folders: in memory where there is room for it, for on a disk they wait for one write after another. */
function temporaryFolder() {
  const memory = '/dev/shm';
  try {
    const { bavail, bsize } = statfsSync(memory);
    if (bavail * bsize > 4e9) return memory;
  } catch {
    // Not on this system.
  }
  return tmpdir();
}

/** What a failed check prints of its output at most. */
const shownCharacters = 8000;

function run(arguments_, { show = false } = {}) {
  return new Promise((resolve) => {
    const started = Date.now();
    const stdio = ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'];
    const child = spawn(process.execPath, arguments_, { cwd: root, stdio });
    let output = '';
    const keep = (chunk) => (output = (output + chunk).slice(-shownCharacters));
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.on('error', (error) => keep(error.message));
    child.on('close', (code) => resolve({ ok: code === 0, output, seconds: (Date.now() - started) / 1000 }));
  });
}

const totals = { passed: 0, failed: 0, skipped: 0 };

async function check(name, arguments_) {
  const { ok, output, seconds } = await run(arguments_);
  totals[ok ? 'passed' : 'failed']++;
  console.log(`${ok ? 'passed' : 'failed'}  ${name} (${seconds.toFixed(1)} s)`);
  if (!ok) console.log(output.trimEnd());
}

/** Counts the report's tests; a file that could not be loaded, and a run that broke off, count as a failure. */
function count(reportPath, ok) {
  let report;
  try {
    report = JSON.parse(readFileSync(reportPath, 'utf8'));
  } catch {
    totals.failed++;
    console.log('failed  the test run ended without a report');
    return;
  }
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  );
  const failures = report.numFailedTests + unloaded.length;
  totals.passed += report.numPassedTests;
  totals.failed += failures;
  totals.skipped += report.numPendingTests + report.numTodoTests;
  if (!ok && failures === 0) {
    totals.failed++;
    console.log('failed  the test run ended with an error outside the tests');
  }
}

// Short: the path of a socket has to fit into 108 bytes.
const scratch = mkdtempSync(join(temporaryFolder(), 'tributary-'));
process.env.TMPDIR = scratch;
try {
  // First, because tests start the built programs.
  const build = [tool('vite/bin/vite.js'), 'build', '--logLevel', 'warn'];
  await check('build', build);
  await check('build of the preload', [...build, '--config', 'main/preload/vite.config.ts']);
  await check('build of the window', [...build, '--config', 'renderer/vite.config.ts']);
  await check('build of the programs under test', [...build, '--config', 'test/vite.config.ts']);
  await Promise.all([
    check('lint', [tool('eslint/bin/eslint.js'), '--max-warnings', '0', '.']),
    check('types', [tool('oxlint/bin/oxlint'), '--type-aware', '--type-check', '--deny-warnings']),
    check('types of the window', [
      tool('svelte-check/bin/svelte-check'),
      ...[
        '--workspace',
        'renderer',
        '--tsconfig',
        'tsconfig.json',
        '--fail-on-warnings',
        '--output',
        'human',
      ],
    ]),
    check('format', [tool('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.']),
  ]);
  const report = join(scratch, 'report.json');
  const { ok } = await run(
    [
      tool('vitest/vitest.mjs'),
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ],
    { show: true },
  );
  count(report, ok);
} finally {
  // What a test has ended may still be writing there.
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 ? 1 : 0;
