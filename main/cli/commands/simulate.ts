/** @file `tributary simulate`: a federation of virtual sites on this machine, and what it is worth. */

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { TributaryError } from '../../../core/errors.ts';
import { STRATEGIES } from '../../../core/federation/strategies/table.ts';
import { findInCatalogue } from '../../../core/model/catalogue.ts';
import { readAdapter } from '../../../core/model/adapter.ts';
import { PARTITIONS } from '../../../core/simulation/partitions/table.ts';
import { writeReports } from '../../../core/simulation/reports/write.ts';
import { readRows } from '../../../core/simulation/rows.ts';
import { runSweep } from '../../../core/simulation/sweep.ts';
import { createEngineTrainer } from '../../../core/site/engine-trainer.ts';
import { runs, wholeNumber } from '../command.ts';
import { fetchWithProgress } from '../fetching.ts';
import { formatSeconds } from '../format.ts';
import { readPlanFile } from '../plan-file.ts';
import { report, resultOf } from '../simulation/report.ts';

const seedNumber = wholeNumber(0).max(0xffff_ffff);
const words = (text: string): string[] => text.split(',').map((word) => word.trim());
const list = z.string().transform(words);
const seedList = z
  .string()
  .transform((text): unknown[] => words(text))
  .pipe(z.array(seedNumber));

const options = z.object({
  plan: z.string(),
  data: z.string(),
  sites: wholeNumber(1).optional(),
  partition: z.enum(PARTITIONS),
  alpha: z.coerce.number().positive().max(1e6),
  by: z.string().optional(),
  heldout: z.coerce.number().gt(0).lt(1),
  seed: seedNumber.optional(),
  seeds: seedList.optional(),
  strategies: list.optional(),
  centralised: z.boolean().optional(),
  local: z.boolean(),
  start: z.string().optional(),
  threads: wholeNumber(1).optional(),
  out: z.string(),
});
type Input = z.output<typeof options>;

export function register(program: Command): void {
  program
    .command('simulate')
    .description('a federation of virtual sites on this machine, compared with each site alone')
    .argument('<plan>', 'file of a plan, JSON or YAML')
    .requiredOption(
      '--data <path>',
      'JSONL file, or folder of such files or subfolders; …heldout.jsonl is held out',
    )
    .option('--sites <number>', 'virtual sites; federation.minSites of the plan without it')
    .option('--partition <name>', `how rows are divided: ${PARTITIONS.join(', ')}`, 'iid')
    .option('--alpha <number>', 'unevenness for dirichlet and quantity: smaller is more uneven', '0.3')
    .option('--by <field>', 'field with the label for dirichlet; topics of the texts without it')
    .option('--heldout <share>', 'share of each site held out where the data hold none out', '0.2')
    .option('--seed <number>', 'takes the place of the plan’s seed')
    .option('--seeds <list>', 'several seeds, such as 1,2,3; each is a federation of its own')
    .option('--strategies <list>', 'such as fedavg,scaffold,local; that of the plan and local without it')
    .option('--centralised', 'also train on all rows together, with as many steps as a site has')
    .option('--no-local', 'do not train each site alone')
    .option('--start <folder>', 'PEFT folder of the adapter that round 0 starts from')
    .option('--threads <number>', 'threads of the engine; all cores without it')
    .option(
      '--out <folder>',
      'results and adapters; what is finished there is not done again',
      'tributary-simulation',
    )
    .action(simulate);
}

const simulate = runs(options, async (input, context) => {
  const { output } = context;
  const signal = context.interruption();
  const began = performance.now();
  const { plan, model, configuration } = await readPlanFile(input.plan);
  const entry = findInCatalogue(model.id);
  if (entry) await fetchWithProgress(entry, context);
  const rows = await readRows(input.data, plan.objective);
  const seeds = [...new Set(input.seeds ?? [input.seed ?? plan.seed])];
  const models = modelsOf(input, plan.federation.strategy.name);
  const threads = input.threads ?? availableParallelism();
  const folder = resolve(input.out);
  const path = typeof plan.model === 'string' && existsSync(plan.model) ? resolve(plan.model) : undefined;
  const engine = createEngineTrainer({ threads, model: path, onNote: (note) => output.line(note) });
  const isSource = input.partition === 'source';
  const start = input.start && readAdapter(input.start, { identity: model, configuration });
  const bar = context.progress('Simulating');
  try {
    const sweep = await runSweep({
      experiment: {
        plan,
        model,
        configuration,
        rows,
        partition: {
          name: input.partition,
          sites: input.sites ?? (isSource ? undefined : plan.federation.minSites),
          alpha: input.alpha,
          by: input.by,
        },
        heldOutShare: input.heldout,
        ...(start && { start: start.tensors }),
      },
      seeds,
      models,
      engine,
      threads,
      folder,
      signal,
      onRound: ({ seed, model: name }, round) => {
        output.event('round', { seed, strategy: name, ...round });
        bar.note(
          `${name}, seed ${seed}, round ${round.round + 1} of ${plan.federation.rounds}: ` +
            `loss ${round.loss.toFixed(4)}, ${formatSeconds(round.seconds)}`,
        );
      },
      onFinished: ({ seed, model: name, kept, result }) => {
        output.event('finished', { seed, model: name, kept, seconds: result.seconds });
      },
      onProgress: (share, detail) => bar.update(share, 1, detail),
    });
    bar.finish(`Losses on ${sweep.federations[0].heldOut.length} held-out rows of all sites:`);
    report(context, sweep, { models, seeds });
    const files = await writeReports(folder, sweep);
    output.line(`Results, adapters and event files for TensorBoard lie in ${folder}.`);
    output.line(`Done in ${formatSeconds((performance.now() - began) / 1000)}.`);
    output.result({ model, skippedRows: rows.skipped, ...resultOf(sweep, models), files, ledger: null });
  } finally {
    await engine.close();
  }
});

/** What each seed gets, in the order of the table. */
function modelsOf(input: Input, planned: string): string[] {
  const named = input.strategies ?? [planned];
  const known = [...Object.keys(STRATEGIES), 'local', 'centralised'];
  const unknown = named.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new TributaryError(
      'usage.invalid',
      `--strategies names ${unknown.join(', ')}; known are ${known.join(', ')}.`,
    );
  }
  const federated = named.filter((name) => name !== 'local' && name !== 'centralised');
  const hasLocal = input.local && (input.strategies === undefined || named.includes('local'));
  const hasCentralised = input.centralised === true || named.includes('centralised');
  return [...(hasLocal ? ['local'] : []), ...new Set(federated), ...(hasCentralised ? ['centralised'] : [])];
}
