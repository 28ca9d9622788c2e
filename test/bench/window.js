/**
 * @file How soon a site's window can be used: `node test/bench/window.js [TIMES]`. Starts `site ui` with a warm cache,
 * opens its address in Chromium and waits for the first screen with what the program told. Prints one line of JSON a
 * start: milliseconds until the program listens, then until the page is painted and has its first answer; bytes of its
 * scripts and styles as they are sent.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const times = Number(process.argv[2] ?? 5);
const program = join(import.meta.dirname, '../../main/cli/bin.js');
const folder = mkdtempSync(join(tmpdir(), 'tributary-bench-window-'));
const executablePath = process.env.TRIBUTARY_CHROMIUM ?? '/usr/bin/chromium';
const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
const browser = await chromium.launch({ executablePath, args });

/** The address that a started program tells. */
async function addressOf(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    const { type, url } = JSON.parse(line);
    if (type === 'listening') return url;
  }
  throw new Error('The program ended without an address.');
}

const totals = [];
for (let time = 0; time <= times; time++) {
  const words = ['site', 'ui', '--dir', join(folder, 'site'), '--json'];
  const began = performance.now();
  const child = spawn(process.execPath, [program, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await addressOf(child);
  const listening = performance.now();
  const page = await browser.newPage();
  let bytes = 0;
  page.on('response', (response) => {
    bytes += Number(response.headers()['content-length'] ?? 0);
  });
  await page.goto(url);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.evaluate(
    'new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)))',
  );
  const usable = performance.now();
  const paints = await page.evaluate(
    "Object.fromEntries(performance.getEntriesByType('paint').map(({ name, startTime }) => [name, startTime]))",
  );
  await page.close();
  child.kill('SIGTERM');
  await once(child, 'close');
  const report = {
    processMs: Math.round(listening - began),
    pageMs: Math.round(usable - listening),
    totalMs: Math.round(usable - began),
    firstContentfulPaintMs: Math.round(paints['first-contentful-paint'] ?? 0),
    bytes,
  };
  // The first start fills the caches.
  if (time === 0) continue;
  totals.push(report.totalMs);
  console.log(JSON.stringify(report));
}
await browser.close();
rmSync(folder, { recursive: true });
totals.sort((a, b) => a - b);
console.log(
  JSON.stringify({ type: 'result', medianMs: totals[Math.floor(totals.length / 2)], bestMs: totals[0] }),
);
