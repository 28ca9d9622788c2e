/**
 * @file How long the site's window is busy at a time while a run trains: `node test/bench/run-screen.js [STEPS]`. A hub
 * and two sites of the sample clinics train the model `tiny`, two rounds of STEPS steps, while one site's window shows
 * the run in Chromium: at the machine's speed, then with the page slowed to a quarter of it. Prints one line of JSON a
 * run: the page's tasks and how many are above 50 ms, by the clock and by what they had of the processor, since a
 * machine that is busy otherwise makes a task wait in its middle.
 */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const steps = Number(process.argv[2] ?? 120);
const program = join(import.meta.dirname, '../../main/cli/bin.js');
const samples = join(import.meta.dirname, '../../resources/samples/clinics');
const folder = mkdtempSync(join(tmpdir(), 'tributary-bench-run-screen-'));
const hub = join(folder, 'hub');
const children = [];

/** Runs a command and gives its result. */
async function result(...words) {
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...words, '--json']);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** Starts a program that stays, and gives the first line of a type that it tells. */
async function start(type, ...words) {
  const child = spawn(process.execPath, [program, ...words, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const told = JSON.parse(line);
      if (told.type === type) resolve(told);
    });
    child.once('close', () => reject(new Error(`${words.join(' ')} ended without ${type}.`)));
  });
}

/** A clinic that approves whatever its policy allows. */
async function found(name) {
  const dir = join(folder, name);
  const { invitation } = await result('hub', 'invite', '--dir', hub);
  await result('site', 'join', invitation, '--dir', dir, '--name', name);
  const map = 'instruction=question,response=answer';
  const rows = join(samples, name, 'train.jsonl');
  await result('site', 'data', 'import', rows, '--dir', dir, '--as', 'notes', '--map', map);
  await result('site', 'approve', '--dir', dir, '--standing', '--dataset', 'notes');
  return dir;
}

/** Milliseconds of each task of the page from a run's proposal to its end. */
async function watch(page, slowdown) {
  const browser = page.context().browser();
  const session = await page.context().newCDPSession(page);
  await session.send('Emulation.setCPUThrottlingRate', { rate: slowdown });
  const plan = join(folder, 'plan.json');
  const training = { steps, batchSize: 2, maxLength: 512 };
  const federation = { rounds: 2, minSites: 2 };
  const name = `Letters ${slowdown}`;
  writeFileSync(plan, JSON.stringify({ name, model: 'tiny', adapter: { rank: 2 }, training, federation }));
  await browser.startTracing(page, { categories: ['toplevel'] });
  const { run } = await result('hub', 'propose', plan, '--dir', hub);
  await page.goto(page.url().replace(/#.*$/, `#/run/${run}`));
  await page.locator(`a[aria-current="true"][href="#/run/${run}"]`).waitFor();
  await page.getByText('All rounds are done.').waitFor({ timeout: 600_000 });
  const { traceEvents } = JSON.parse(await browser.stopTracing());
  await session.detach();
  return tasksOf(traceEvents);
}

/** The tasks of the busiest of the pages' main threads. */
function tasksOf(events) {
  const threads = events
    .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
    .map(({ pid, tid }) =>
      events.filter((event) => event.pid === pid && event.tid === tid && event.name.endsWith('RunTask')),
    );
  const [tasks = []] = threads.sort((one, other) => other.length - one.length);
  return tasks.map(({ dur = 0, tdur = 0 }) => ({ clock: dur / 1000, processor: tdur / 1000 }));
}

function summary(values) {
  return {
    above50: values.filter((each) => each > 50).length,
    longestMs: Math.round(Math.max(0, ...values)),
  };
}

await result('hub', 'init', '--dir', hub, '--name', 'Clinics');
await start('listening', 'hub', 'start', '--dir', hub);
const north = await found('clinic-north');
const river = await found('clinic-river');
await start('state', 'site', 'start', '--dir', north, '--threads', '1');
const { url } = await start('listening', 'site', 'ui', '--dir', river);
const browser = await chromium.launch({
  executablePath: process.env.TRIBUTARY_CHROMIUM ?? '/usr/bin/chromium',
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  await page.goto(url);
  await page.getByRole('heading', { level: 1 }).waitFor();
  for (const slowdown of [1, 4]) {
    const tasks = await watch(page, slowdown);
    const clock = summary(tasks.map((task) => task.clock));
    const processor = summary(tasks.map((task) => task.processor));
    console.log(JSON.stringify({ slowdown, tasks: tasks.length, clock, processor }));
  }
} finally {
  await browser.close();
  await Promise.all(
    children.map(async (child) => {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      await closed;
    }),
  );
  rmSync(folder, { recursive: true });
}
