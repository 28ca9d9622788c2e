/** @file `tributary bench train`: how fast training is, in how much memory, and what takes the time. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { UNSUPERVISED } from '../../../core/engine/batch.ts';
import type { Cost, Costs } from '../../../core/engine/profile.ts';
import { Random } from '../../../core/random.ts';
import { readJsonl } from '../../../core/training/examples.ts';
import type { TokenExample } from '../../../core/training/tokens.ts';
import { runs } from '../command.ts';
import { formatTable } from '../format.ts';
import type { Output } from '../output.ts';
import { trainAndReport, trainingOptions, withTrainingOptions } from '../training-run.ts';

const options = trainingOptions.extend({ data: z.string().optional(), profile: z.boolean().default(false) });

export function register(bench: Command): void {
  withTrainingOptions(
    bench.command('train').description('speed and memory of training; random tokens without data'),
  )
    .option('--data <file>', 'JSON Lines, to measure on real rows')
    .option('--profile', 'say which operators and which parts of the graph took the time; a little slower')
    .action(benchTrain);
}

/** Tokens that no model treats specially lie above the first few. */
const ORDINARY_TOKENS = { from: 100, to: 256 };
/** Lines of a table of costs. */
const SHOWN = 15;

const benchTrain = runs(options, async (input, context) => {
  const data =
    input.data === undefined
      ? { examples: [], tokens: randomExamples(input.batch, input.maxLength, input.seed) }
      : { examples: (await readJsonl(input.data, { objective: 'sft', skipBad: false })).examples };
  const profile = input.profile ? await mkdtemp(join(tmpdir(), 'tributary-bench-')) : undefined;
  try {
    const { costs, ...result } = await trainAndReport(
      { input, data, start: null, out: undefined, profile },
      context,
    );
    if (costs) print(context.output, costs);
    context.output.result({ ...result, ...(costs && { costs }) });
  } finally {
    if (profile !== undefined) await rm(profile, { recursive: true, force: true });
  }
});

/** The costliest operators and places of all steps together. */
function print(output: Output, { operators, places }: Costs): void {
  const total = operators.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const row = ({ name, calls, milliseconds }: Cost) => [
    name,
    calls,
    Math.round(milliseconds),
    `${((100 * milliseconds) / total).toFixed(1)} %`,
  ];
  for (const [title, costs] of [['operator', operators] as const, ['place', places] as const]) {
    const lines = formatTable([title, 'calls', 'ms', 'share'], costs.slice(0, SHOWN).map(row));
    for (const line of ['', ...lines]) output.line(line);
  }
}

/** One batch of full rows whose second half is supervised, as the PyTorch measurement beside it uses. */
function randomExamples(count: number, length: number, seed: number): TokenExample[] {
  const random = new Random('bench', seed);
  return Array.from({ length: count }, () => {
    const ids = Int32Array.from(
      { length },
      () => ORDINARY_TOKENS.from + random.below(ORDINARY_TOKENS.to - ORDINARY_TOKENS.from),
    );
    const half = Math.floor(length / 2);
    const labels = Int32Array.from(ids, (id, at) => (at < half ? UNSUPERVISED : id));
    return { ids, labels, supervisedTokens: length - half };
  });
}
