/** @file `tributary evaluate`: how well a model does on a file. */

import type { Command } from 'commander';
import { z } from 'zod';
import { evaluateFile } from '../../../core/evaluation/file.ts';
import { evaluatePreferenceFile, holdsPreferences } from '../../../core/evaluation/preference-file.ts';
import { runs, wholeNumber } from '../command.ts';
import { preferenceOf, preferenceOptions, withPreferenceOptions } from '../preference-options.ts';
import { announceDevice, engineOptions, template, withEngineOptions, withTrainer } from '../training.ts';

const options = engineOptions.extend(preferenceOptions.shape).extend({
  adapter: z.string().optional(),
  reference: z.string().optional(),
  task: z.string(),
  template,
  maxLength: wholeNumber(8),
  batch: wholeNumber(1),
  skipBad: z.boolean().default(false),
});

export function register(program: Command): void {
  const command = program.command('evaluate').description('measure a model on a file of examples');
  withPreferenceOptions(withEngineOptions(command))
    .option('--adapter <folder>', 'PEFT folder')
    .option('--reference <folder>', 'pairs: PEFT folder to compare with; the base model without it')
    .requiredOption('--task <file>', 'JSON Lines of instructions, questions, messages or pairs of answers')
    .option('--template <name>', 'chat, alpaca or vicuna', 'chat')
    .option('--max-length <tokens>', 'longest example; longer ones are cut', '512')
    .option('--batch <number>', 'examples computed at once', '8')
    .option('--skip-bad', 'leave broken lines out and count them')
    .action(evaluate);
}

const evaluate = runs(options, async (input, { output, progress, interruption }) => {
  const signal = interruption();
  await withTrainer(input, async (trainer, opened) => {
    announceDevice(output, input.device, opened);
    const { identity, precision } = opened;
    if (input.adapter !== undefined) await trainer.call('loadAdapter', { folder: input.adapter });
    if (input.reference !== undefined) await trainer.call('loadReference', { folder: input.reference });
    const bar = progress('Evaluating');
    const observer = {
      signal,
      report: ({ done, total }: { done: number; total: number }) => bar.update(done, total),
    };
    const { template, maxLength, batch: batchSize, skipBad, task: file } = input;
    const evaluation = { template, maxLength, batchSize, skipBad, file };
    const report = (await holdsPreferences(file))
      ? await evaluatePreferenceFile({ ...evaluation, dpo: preferenceOf(input) }, (request) =>
          trainer.call('evaluatePreferences', request, observer),
        )
      : await evaluateFile(evaluation, (request) => trainer.call('evaluate', request, observer));
    bar.finish(`${report.n} examples of ${input.task}:`);
    if (report.skipped > 0) output.line(`Left out as broken or too long: ${report.skipped}.`);
    for (const [name, { value, low, high }] of Object.entries(report.metrics)) {
      output.line(`${name}: ${value.toFixed(4)} (95 % interval ${low.toFixed(4)} to ${high.toFixed(4)})`);
    }
    output.result({ task: input.task, ...report, model: identity, precision });
  });
});
