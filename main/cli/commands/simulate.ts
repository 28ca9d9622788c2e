/** @file `tributary simulate`: a federation of virtual sites on this machine, and what it is worth. */

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { TributaryError } from '../../../core/errors.ts';
import { findInCatalogue } from '../../../core/model/catalogue.ts';
import { PARTITIONS } from '../../../core/simulation/partitions/table.ts';
import { simulate } from '../../../core/simulation/simulate.ts';
import { loadStrategy } from '../../../core/simulation/strategy-file.ts';
import { runs, wholeNumber } from '../command.ts';
import { fetchWithProgress } from '../fetching.ts';
import { formatSeconds } from '../format.ts';
import { collect } from '../options.ts';
import { readPlanFile } from '../plan-file.ts';
import { simulateFaults } from '../simulation/faults.ts';
import { report, resultOf } from '../simulation/report.ts';
import { overWire } from '../simulation/wire.ts';

const seedNumber = wholeNumber(0).max(0xffff_ffff);
const words = (text: string): string[] => text.split(',').map((word) => word.trim());
const list = z.string().transform(words);
const seedList = z
  .string()
  .transform((text): unknown[] => words(text))
  .pipe(z.array(seedNumber));

const options = z.object({
  plan: z.string(),
  data: z.string().optional(),
  faults: z.string().optional(),
  faultSeed: seedNumber.optional(),
  faultRuns: wholeNumber(1),
  sites: wholeNumber(1).optional(),
  partition: z.enum(PARTITIONS),
  alpha: z.coerce.number().positive().max(1e6),
  by: z.string().optional(),
  heldout: z.coerce.number().gt(0).lt(1),
  seed: seedNumber.optional(),
  seeds: seedList.optional(),
  strategies: list.optional(),
  strategy: z.array(z.string()).optional(),
  centralised: z.boolean().optional(),
  local: z.boolean(),
  start: z.string().optional(),
  threads: wholeNumber(1).optional(),
  wire: z.boolean().default(false),
  out: z.string(),
});
type Input = z.output<typeof options>;

export function register(program: Command): void {
  program
    .command('simulate')
    .description('a federation of virtual sites on this machine, compared with each site alone')
    .argument('<plan>', 'file of a plan, JSON or YAML')
    .option('--data <path>', 'JSONL file, or folder of such files or subfolders; …heldout.jsonl is held out')
    .option('--sites <number>', 'virtual sites; federation.minSites of the plan without it')
    .option('--partition <name>', `how rows are divided: ${PARTITIONS.join(', ')}`, 'iid')
    .option('--alpha <number>', 'unevenness for dirichlet and quantity: smaller is more uneven', '0.3')
    .option('--by <field>', 'field with the label for dirichlet; topics of the texts without it')
    .option('--heldout <share>', 'share of each site held out where the data hold none out', '0.2')
    .option('--seed <number>', 'takes the place of the plan’s seed')
    .option('--seeds <list>', 'several seeds, such as 1,2,3; each is a federation of its own')
    .option('--strategies <list>', 'such as fedavg,scaffold,local; that of the plan and local without it')
    .option('--strategy <file>', 'a strategy of your own, .js or .ts, beside the others; repeatable', collect)
    .option('--centralised', 'also train on all rows together, with as many steps as a site has')
    .option('--no-local', 'do not train each site alone')
    .option('--start <folder>', 'PEFT folder of the adapter that round 0 starts from')
    .option('--faults <file>', 'a list of faults: plays the plan with pretended training on a virtual clock')
    .option('--fault-seed <number>', 'draws the faults; the same seed plays the same')
    .option('--fault-runs <number>', 'seeds from --fault-seed on', '1')
    .option('--wire', 'with a hub and sites as processes that talk over sockets, to the same adapter')
    .option('--threads <number>', 'threads of the engine; all cores without it')
    .option(
      '--out <folder>',
      'results and adapters; what is finished there is not done again',
      'tributary-simulation',
    )
    .action(run);
}

const run = runs(options, async (input, context) => {
  const { output } = context;
  const signal = context.interruption();
  const began = performance.now();
  const { plan, model, configuration } = await readPlanFile(input.plan);
  const { data, faults, faultSeed, faultRuns } = input;
  if (faults !== undefined || faultSeed !== undefined) {
    const seed = faultSeed ?? 0;
    await simulateFaults({ plan, sites: input.sites, faults, seed, runs: faultRuns }, context);
    return;
  }
  if (data === undefined) {
    throw new TributaryError('usage.invalid', 'Name the rows with --data, or faults with --faults.');
  }
  const entry = findInCatalogue(model.id);
  if (entry) await fetchWithProgress(entry, context);
  const custom = await Promise.all((input.strategy ?? []).map(loadStrategy));
  const seeds = input.seeds ?? [input.seed ?? plan.seed];
  const planned = plan.federation.strategy.name;
  const models = modelsOf(
    input,
    planned,
    custom.map(({ name }) => name),
  );
  const bar = context.progress('Simulating');
  const modelPath =
    typeof plan.model === 'string' && existsSync(plan.model) ? resolve(plan.model) : undefined;
  const threads = input.threads ?? availableParallelism();
  const wire = { configuration, modelPath, threads, say: (text: string) => output.line(text) };
  const result = await simulate({
    plan,
    model,
    configuration,
    modelPath,
    ...(input.wire && { federate: overWire(wire) }),
    data,
    sites: input.sites,
    partition: input.partition,
    alpha: input.alpha,
    by: input.by,
    heldOutShare: input.heldout,
    seeds,
    models,
    custom,
    start: input.start,
    threads,
    folder: resolve(input.out),
    signal,
    onNote: (note) => output.line(note),
    onRound: ({ seed, model: name }, round) => {
      output.event('round', { seed, strategy: name, ...round });
      bar.note(
        `${name}, seed ${seed}, round ${round.round + 1} of ${plan.federation.rounds}: ` +
          `loss ${round.loss.toFixed(4)}, ${formatSeconds(round.seconds)}`,
      );
    },
    onFinished: ({ seed, model: name, kept, result: { seconds } }) => {
      output.event('finished', { seed, model: name, kept, seconds });
    },
    onProgress: (share, detail) => bar.update(share, 1, detail),
  });
  bar.finish(`Losses on ${result.federations[0].heldOut.length} held-out rows of all sites:`);
  report(context, result, { models, seeds });
  output.line(`Results, adapters and event files for TensorBoard lie in ${resolve(input.out)}.`);
  output.line(`Done in ${formatSeconds((performance.now() - began) / 1000)}.`);
  const { skippedRows, reports: files } = result;
  output.result({ model, skippedRows, ...resultOf(result, models), files, ledger: null });
});

/** What each seed gets, in the order of the table. */
function modelsOf(input: Input, planned: string, custom: readonly string[]): string[] {
  const named = input.strategies ?? [planned];
  const hasLocal = input.local && (input.strategies === undefined || named.includes('local'));
  const hasCentralised = input.centralised === true || named.includes('centralised');
  const federated = [...named.filter((name) => name !== 'local' && name !== 'centralised'), ...custom];
  return [...(hasLocal ? ['local'] : []), ...new Set(federated), ...(hasCentralised ? ['centralised'] : [])];
}
