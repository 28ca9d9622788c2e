/** @file `tributary train`: training alone at one site. */

import type { Command } from 'commander';
import { z } from 'zod';
import { parseDuration } from '../../../core/federation/duration.ts';
import type { CheckpointOptions } from '../../../core/training/checkpoints.ts';
import { readJsonl } from '../../../core/training/examples.ts';
import { preferenceOf, preferenceOptions, withPreferenceOptions } from '../preference-options.ts';
import { runs, wholeNumber } from '../command.ts';
import { trainAndReport, trainingOptions, withTrainingOptions } from '../training-run.ts';

export function register(program: Command): void {
  const command = program.command('train').description('train an adapter on a file, at this site alone');
  withPreferenceOptions(withTrainingOptions(command))
    .requiredOption('--data <file>', 'JSON Lines of instructions, questions, messages or pairs of answers')
    .option('--objective <name>', 'sft, or dpo: learn from pairs which answer is preferred', 'sft')
    .option('--full', 'train all weights of the model instead of an adapter; it must be a small one')
    .option('--adapter <folder>', 'go on from this PEFT folder')
    .option(
      '--reference <name>',
      'pairs: compare with the base model (base) or with the adapter as it is at the start (adapter); adapter where ' +
        'there is one',
    )
    .option('--skip-bad', 'leave broken lines out and count them')
    .option('--out <folder>', 'write the adapter there, as a PEFT folder, or the model with --full')
    .option('--checkpoints <folder>', 'keep checkpoints there: what crashes or is interrupted can go on')
    .option(
      '--checkpoint-every <steps or time>',
      'steps, or a time such as 5m, between two checkpoints',
      '5m',
    )
    .option('--keep-checkpoints <number>', 'how many of the newest are kept', '2')
    .option('--resume', 'go on from the newest checkpoint, with the same data and options')
    .action(train);
}

/** Steps or seconds between two checkpoints. */
const interval = z.string().transform((text, context) => {
  if (/^[1-9]\d*$/.test(text)) return { everySteps: Number(text) };
  const everySeconds = parseDuration(text);
  if (everySeconds !== null) return { everySeconds };
  context.addIssue({ code: 'custom', message: 'expected steps, such as 10, or a time, such as 5m' });
  return z.NEVER;
});

const options = trainingOptions
  .extend(preferenceOptions.shape)
  .extend({
    data: z.string(),
    objective: z.enum(['sft', 'dpo']),
    full: z.boolean().default(false),
    adapter: z.string().optional(),
    reference: z.enum(['base', 'adapter']).optional(),
    skipBad: z.boolean().default(false),
    out: z.string().optional(),
    checkpoints: z.string().optional(),
    checkpointEvery: interval,
    keepCheckpoints: wholeNumber(1),
    resume: z.boolean().default(false),
  })
  .refine(({ reference, adapter }) => reference !== 'adapter' || adapter !== undefined, {
    path: ['reference'],
    message: 'it needs --adapter',
  })
  .refine(({ full, adapter }) => !full || adapter === undefined, {
    path: ['full'],
    message: 'it trains the model itself, without --adapter',
  })
  .refine(({ trainable, adapter }) => trainable !== 'A' || adapter !== undefined, {
    path: ['trainable'],
    message: 'A alone learns nothing while B is zero, so it needs --adapter',
  })
  .refine(({ dpoLoss, labelSmoothing }) => dpoLoss === 'sigmoid' || labelSmoothing === 0, {
    path: ['labelSmoothing'],
    message: 'ipo takes none',
  })
  .refine(({ resume, checkpoints }) => !resume || checkpoints !== undefined, {
    path: ['resume'],
    message: 'it needs the folder of --checkpoints',
  });

const train = runs(options, async (input, context) => {
  const { examples, skipped } = await readJsonl(input.data, {
    objective: input.objective,
    skipBad: input.skipBad,
  });
  if (skipped.length > 0) context.output.line(`Broken lines that are left out: ${skipped.length}.`);
  const start = input.adapter === undefined ? null : { folder: input.adapter };
  const result = await trainAndReport(
    {
      input,
      data: { examples, objective: input.objective, dpo: preferenceOf(input) },
      start,
      reference: input.reference === 'base' ? null : start,
      out: input.out,
      checkpoints: checkpointsOf(input),
      full: input.full,
    },
    context,
  );
  context.output.result({ ...result, skippedLines: skipped.length });
});

function checkpointsOf({
  checkpoints: folder,
  checkpointEvery,
  keepCheckpoints: keep,
  resume,
}: z.output<typeof options>): CheckpointOptions | undefined {
  return folder === undefined
    ? undefined
    : { folder, ...checkpointEvery, keep, start: resume ? 'resume' : 'new' };
}
