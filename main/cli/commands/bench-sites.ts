/**
 * @file The sites of `tributary bench hub`, some of them in each process: they connect, approve, fetch, send and
 * countersign as real ones do, but what they train is one sum.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { askHub } from '../../../core/hub/ask.ts';
import { encodeNumbers, NUMBER_FORMATS } from '../../../core/federation/number-formats.ts';
import type { EncodedNumbers } from '../../../core/federation/number-formats.ts';
import type { Tensor } from '../../../core/model/tensor.ts';
import { askSite } from '../../../core/site/ask.ts';
import { startSite } from '../../../core/site/site.ts';
import type { Site } from '../../../core/site/site.ts';
import type { RoundTrainer } from '../../../core/site/trainer.ts';
import { tuneSite } from '../../runtime.ts';
import { runs, wholeNumber } from '../command.ts';

const SOFTWARE = 'tributary bench';
const ROWS = 8;

export function register(bench: Command): void {
  bench
    .command('hub-sites', { hidden: true })
    .requiredOption('--hub <folder>', 'folder of the hub')
    .requiredOption('--root <folder>', 'where the folders of the sites are made')
    .requiredOption('--from <number>', 'number of the first site')
    .requiredOption('--to <number>', 'number after the last site')
    .action(benchSites);
}

const options = z.object({
  hub: z.string(),
  root: z.string(),
  from: wholeNumber(0),
  to: wholeNumber(1),
});

const benchSites = runs(options, async ({ hub, root, from, to }, { output, interruption }) => {
  const signal = interruption();
  tuneSite();
  const sites: Site[] = [];
  for (let at = from; at < to; at++) sites.push(await enterSite(hub, root, at));
  output.result({ sites: sites.length });
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  await Promise.all(sites.map((site) => site.stop()));
});

/** Joins a site to the hub and starts it. */
async function enterSite(hub: string, root: string, at: number): Promise<Site> {
  const name = `site-${String(at).padStart(3, '0')}`;
  const folder = join(root, name);
  await mkdir(folder);
  const file = join(folder, 'rows.jsonl');
  const row = JSON.stringify({ instruction: 'What is this?', response: 'A measurement.' });
  await writeFile(file, `${row}\n`.repeat(ROWS));
  const { invitation } = await askHub(hub, 'invite', { site: name });
  const options = { folder, software: SOFTWARE };
  await askSite(options, 'join', { invitation, name });
  await askSite(options, 'import', { file, as: 'rows' });
  await askSite(options, 'approve', { standing: true, dataset: 'rows' });
  return startSite({ ...options, trainer: addingTrainer(1e-4 * (at + 1)) });
}

/** Adds a fixed vector to the base, so that updates differ between sites and rounds. */
function addingTrainer(scale: number): RoundTrainer {
  const adapter = new Map<string, Tensor>();
  return {
    train: ({ base, examples }) => {
      for (const [name, { shape, data }] of base) {
        const sum = adapter.get(name)?.data ?? new Float32Array(data.length);
        sum.set(data);
        NUMBER_FORMATS.int8.addInto(stepOf(data.length, scale), sum, 1);
        adapter.set(name, { shape, data: sum });
      }
      return Promise.resolve({ adapter, loss: 1, examples: examples.length, supervisedTokens: 1 });
    },
    evaluate: ({ examples }) => Promise.resolve({ loss: 1, examples: examples.length }),
    close: () => Promise.resolve(),
  };
}

/** A vector of so many numbers, in codes: nothing but the federation's work is to be measured. */
function stepOf(length: number, scale: number): EncodedNumbers {
  let step = steps.get(length);
  if (step === undefined) {
    step = encodeNumbers(
      'int8',
      Float32Array.from({ length }, (_, index) => (index % 7) - 3),
    );
    steps.set(length, step);
  }
  return { bytes: step.bytes, scales: step.scales?.map((of) => of * scale) ?? null };
}
const steps = new Map<number, EncodedNumbers>();
