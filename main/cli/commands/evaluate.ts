/** @file `tributary evaluate`: how well a model does on a file. */

import type { Command } from 'commander';
import { z } from 'zod';
import { evaluateFile } from '../../../core/evaluation/file.ts';
import { runs, wholeNumber } from '../command.ts';
import { engineOptions, template, withEngineOptions, withTrainer } from '../training.ts';

const options = engineOptions.extend({
  adapter: z.string().optional(),
  task: z.string(),
  template,
  maxLength: wholeNumber(8),
  batch: wholeNumber(1),
  skipBad: z.boolean().default(false),
});

export function register(program: Command): void {
  withEngineOptions(program.command('evaluate').description('measure a model on a file of examples'))
    .option('--adapter <folder>', 'PEFT folder')
    .requiredOption('--task <file>', 'JSON Lines of instructions, questions or messages')
    .option('--template <name>', 'chat, alpaca or vicuna', 'chat')
    .option('--max-length <tokens>', 'longest example; longer ones are cut', '512')
    .option('--batch <number>', 'examples computed at once', '8')
    .option('--skip-bad', 'leave broken lines out and count them')
    .action(evaluate);
}

const evaluate = runs(options, async (input, { output, progress, interruption }) => {
  const signal = interruption();
  await withTrainer(input, async (trainer, { identity, precision }) => {
    if (input.adapter !== undefined) await trainer.call('loadAdapter', { folder: input.adapter });
    const bar = progress('Evaluating');
    const report = await evaluateFile({ ...input, file: input.task, batchSize: input.batch }, (request) =>
      trainer.call('evaluate', request, { signal, report: ({ done, total }) => bar.update(done, total) }),
    );
    bar.finish(`${report.n} examples of ${input.task}:`);
    if (report.skipped > 0) output.line(`Left out as broken or too long: ${report.skipped}.`);
    for (const [name, { value, low, high }] of Object.entries(report.metrics)) {
      output.line(`${name}: ${value.toFixed(4)} (95 % interval ${low.toFixed(4)} to ${high.toFixed(4)})`);
    }
    output.result({ task: input.task, ...report, model: identity, precision });
  });
});
