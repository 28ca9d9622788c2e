/** @file `tributary generate`: a model's answer to a prompt. */

import type { Command } from 'commander';
import { z } from 'zod';
import { withTrainer } from '../../../core/training/client.ts';
import type { Message } from '../../../core/training/examples.ts';
import { runs, wholeNumber } from '../command.ts';
import { collect } from '../options.ts';
import { announceDevice, engineOptions, template, withEngineOptions } from '../training.ts';

const options = engineOptions.extend({
  adapter: z.string().optional(),
  prompt: z.string().min(1),
  system: z.string().optional(),
  template,
  maxTokens: wholeNumber(1),
  temperature: z.coerce.number().min(0),
  topK: wholeNumber(0),
  topP: z.coerce.number().gt(0).max(1),
  minP: z.coerce.number().min(0).max(1),
  repetitionPenalty: z.coerce.number().gt(0),
  stop: z.array(z.string().min(1)).optional(),
  exact: z.boolean().optional(),
  seed: wholeNumber(0),
});

export function register(program: Command): void {
  withEngineOptions(program.command('generate').description("print a model's answer"))
    .option('--adapter <folder>', 'PEFT folder')
    .requiredOption('--prompt <text>', 'what the user says')
    .option('--system <text>', 'system message; without it the template decides')
    .option('--template <name>', 'chat, alpaca or vicuna', 'chat')
    .option('--max-tokens <number>', 'longest answer', '128')
    .option('--temperature <number>', '0 takes the likeliest token always', '0')
    .option('--top-k <number>', 'draw from the likeliest so many tokens; 0 for all', '0')
    .option('--top-p <number>', 'draw from the likeliest tokens that reach this probability together', '1')
    .option('--min-p <number>', 'draw from tokens at least this share as likely as the likeliest', '0')
    .option('--repetition-penalty <number>', 'above 1 makes tokens of the text so far less likely', '1')
    .option('--stop <text>', 'ends the answer and is not part of it; may be repeated', collect)
    .option('--exact', 'keep activations in float32, where packed weights make them 8 bits without it')
    .option('--seed <number>', 'seed of the draw', '0')
    .action(generate);
}

const generate = runs(options, async (input, { output, interruption }) => {
  const signal = interruption();
  await withTrainer(input, async (trainer, opened) => {
    announceDevice(output, input.device, opened);
    const { identity, precision } = opened;
    if (input.adapter !== undefined) await trainer.call('loadAdapter', { folder: input.adapter });
    const system: Message[] = input.system === undefined ? [] : [{ role: 'system', content: input.system }];
    const messages: Message[] = [...system, { role: 'user', content: input.prompt }];
    const answer = await trainer.call(
      'generate',
      { ...input, messages },
      { signal, report: ({ delta }) => output.json || process.stdout.write(delta) },
    );
    output.line('');
    output.result({ ...answer, model: identity, precision });
  });
});
