/** @file `tributary bench`: the figures by which Tributary is measured. */

import type { Command } from 'commander';
import { z } from 'zod';
import { UNSUPERVISED } from '../../../core/engine/batch.ts';
import { Random } from '../../../core/random.ts';
import { readJsonl } from '../../../core/training/examples.ts';
import type { TokenExample } from '../../../core/training/tokens.ts';
import { runs } from '../command.ts';
import { trainAndReport, trainingOptions, withTrainingOptions } from '../training-run.ts';
import { register as registerGenerate } from './bench-generate.ts';
import { register as registerHub } from './bench-hub.ts';
import { register as registerHubSites } from './bench-sites.ts';

export function register(program: Command): void {
  const bench = program.command('bench').description('measure this machine');
  withTrainingOptions(
    bench.command('train').description('speed and memory of training; random tokens without data'),
  )
    .option('--data <file>', 'JSON Lines, to measure on real rows')
    .action(benchTrain);
  registerGenerate(bench);
  registerHub(bench);
  registerHubSites(bench);
}

/** Tokens that no model treats specially lie above the first few. */
const ORDINARY_TOKENS = { from: 100, to: 256 };

const benchTrain = runs(trainingOptions.extend({ data: z.string().optional() }), async (input, context) => {
  const data =
    input.data === undefined
      ? { examples: [], tokens: randomExamples(input.batch, input.maxLength, input.seed) }
      : { examples: (await readJsonl(input.data, { objective: 'sft', skipBad: false })).examples };
  const result = await trainAndReport({ input, data, start: null, out: undefined }, context);
  context.output.result(result);
});

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
