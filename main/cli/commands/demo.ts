/** @file `tributary demo`: the main job on sample institutions, from private rows to a better shared model. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { TributaryError } from '../../../core/errors.ts';
import { writeFileAtomically } from '../../../core/files.ts';
import { readPlan } from '../../../core/federation/plan.ts';
import { findInCatalogue } from '../../../core/model/catalogue.ts';
import { formatBytes } from '../../../core/sizes.ts';
import { withTrainer } from '../../../core/training/client.ts';
import { runs, wholeNumber } from '../command.ts';
import type { CommandContext } from '../command.ts';
import { compare } from '../demo/comparison.ts';
import { runFederation, type Round } from '../demo/federation.ts';
import type { Score } from '../demo/measures.ts';
import { OBJECTIVES, readInstitutions, SAMPLES } from '../demo/institutions.ts';
import { fetchWithProgress } from '../fetching.ts';
import { formatSeconds, formatTable } from '../format.ts';

const options = z.object({
  model: z.string(),
  rounds: wholeNumber(1).optional(),
  steps: wholeNumber(1).optional(),
  objective: z.enum(OBJECTIVES),
  sample: z.enum(SAMPLES),
  dir: z.string(),
});

export function register(program: Command): void {
  program
    .command('demo')
    .description('three sample institutions train a shared model with a hub, each as a process of its own')
    .option('--model <model>', 'id in the catalogue, `tiny`, or a path', 'smollm2-135m-instruct')
    .option('--objective <name>', 'sft, or dpo: learn from pairs which answer is preferred', 'sft')
    .option('--rounds <number>', 'rounds of the run; as many as its plan says without it')
    .option('--steps <number>', 'steps of each site in each round; as many as its plan says without it')
    .option('--sample <name>', SAMPLES.join(' or '), 'clinics')
    .option('--dir <folder>', 'where hub, sites and the adapter are kept', 'tributary-demo')
    .action(demo);
}

/** Marks a folder as made by this command, which may be made anew. */
const MARKER = 'demo.json';

const demo = runs(options, async (input, context) => {
  const { output, interruption } = context;
  const signal = interruption();
  const started = performance.now();
  const entry = findInCatalogue(input.model);
  if (entry) await fetchWithProgress(entry, context);
  const folder = resolve(input.dir);
  await prepareFolder(folder);
  const institutions = await readInstitutions(input.sample, input.objective);
  const { sites, heldOut } = institutions;
  const request = readPlan(readFileSync(institutions.plan, 'utf8'));
  const { federation, training } = request;
  const { rounds = federation.rounds, steps = training.steps } = input;
  const model = existsSync(input.model) ? resolve(input.model) : input.model;
  const plan = {
    ...request,
    model,
    training: { ...training, steps },
    federation: { ...federation, rounds },
  };
  const planFile = join(folder, 'plan.json');
  await writeFileAtomically(planFile, JSON.stringify(plan, null, 2));
  for (const { name, examples } of sites) output.line(`${name}: ${examples.length} private rows`);

  const threads = Math.max(1, Math.floor(availableParallelism() / sites.length));
  const bar = context.progress('Federated training');
  const federated = await runFederation({
    folder,
    plan: planFile,
    model,
    rounds,
    sites,
    threads,
    signal,
    watcher: {
      say: (text) => output.line(text),
      process: (name, pid) => {
        output.event('process', { name, pid });
        output.line(`${name} runs as process ${pid}.`);
      },
      progress: (share, detail) => bar.update(share, 1, detail),
      round: (round) => {
        output.event('round', { ...round });
        output.line(
          `Round ${round.round + 1} of ${rounds}: loss ${round.loss.toFixed(4)}${describePreference(round)}, ` +
            `${formatBytes(round.bytesUp)} up, ` +
            `${formatBytes(round.bytesDown)} down, ${formatSeconds(round.seconds)}`,
        );
      },
    },
  });
  bar.finish(`${rounds} rounds are done; no row has left a site.`);

  const engine = { model, precision: training.precision, device: 'cpu' as const };
  await withTrainer(engine, async (trainer, { identity }) => {
    const second = context.progress('Comparing');
    const evaluation = await compare({
      trainer,
      settings: { ...plan, rounds },
      sites,
      heldOut,
      adapter: federated.adapter,
      signal,
      progress: (share, detail) => second.update(share, 1, detail),
    });
    const rows = input.objective === 'sft' ? 'Losses on' : 'Preferences in';
    second.finish(`${rows} ${heldOut.length} held-out rows of all sites:`);
    report(context, { evaluation, sent: federated.sent, adapter: federated.adapter });
    const { entries, verified } = federated.ledger;
    output.line(`The hub's ledger: ${entries} entries, ${verified ? 'verified' : 'BROKEN'}.`);
    output.line(`Done in ${formatSeconds((performance.now() - started) / 1000)}.`);
    output.result({
      model: identity,
      sites: sites.map(({ name, examples }) => ({
        name,
        rows: examples.length,
        bytesSent: federated.sent.get(name),
      })),
      rounds: federated.rounds,
      evaluation,
      adapter: federated.adapter,
      ledger: federated.ledger,
    });
  });
});

/** Columns of the table; those of which a score knows nothing are left out. */
const COLUMNS: readonly {
  readonly title: string;
  readonly digits: number;
  readonly of: (score: Score) => number | undefined;
}[] = [
  { title: 'loss', digits: 4, of: ({ loss }) => loss },
  { title: 'accuracy by reward', digits: 3, of: ({ accuracy }) => accuracy },
  { title: 'mean margin', digits: 3, of: ({ margin }) => margin },
  { title: 'accuracy by likelihood', digits: 3, of: ({ likelihoodAccuracy }) => likelihoodAccuracy },
  { title: 'perplexity', digits: 2, of: ({ perplexity }) => perplexity },
];

function describePreference({ accuracy, margin }: Round): string {
  if (accuracy === undefined || margin === undefined) return '';
  return `, accuracy ${accuracy.toFixed(3)}, margin ${margin.toFixed(3)}`;
}

function report(
  { output }: CommandContext,
  result: {
    evaluation: Awaited<ReturnType<typeof compare>>;
    sent: ReadonlyMap<string, number>;
    adapter: string;
  },
): void {
  const { base, local, federated } = result.evaluation;
  const rows = [
    ['base model', base] as const,
    ['a site alone (mean)', local] as const,
    ['federated', federated] as const,
  ];
  const columns = COLUMNS.filter(({ of }) => of(base) !== undefined);
  const table = formatTable(
    ['model', ...columns.map(({ title }) => title)],
    rows.map(([name, score]) => [name, ...columns.map(({ of, digits }) => (of(score) ?? 0).toFixed(digits))]),
  );
  for (const line of table) output.line(`  ${line}`);
  for (const [name, bytes] of result.sent) output.line(`${name} sent ${formatBytes(bytes)}.`);
  output.line(`The adapter lies in ${result.adapter}.`);
}

/** An empty or new folder, or one that an earlier demonstration has made, which starts anew. */
async function prepareFolder(folder: string): Promise<void> {
  const contents = existsSync(folder) ? readdirSync(folder) : [];
  if (contents.length > 0 && !contents.includes(MARKER)) {
    throw new TributaryError('demo.folder-in-use', `${folder} holds other files.`);
  }
  for (const name of ['hub', 'sites', 'adapter', 'plan.json']) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFileAtomically(join(folder, MARKER), JSON.stringify({ madeBy: 'tributary demo' }));
}
