/** @file Options of commands that work on pairs of answers. */

import type { Command } from 'commander';
import { z } from 'zod';
import type { PreferenceOptions } from '../../core/training/preference.ts';
import { wholeNumber } from './command.ts';

export const preferenceOptions = z.object({
  beta: z.coerce.number().positive(),
  labelSmoothing: z.coerce.number().min(0).lt(0.5),
  dpoLoss: z.enum(['sigmoid', 'ipo']),
  maxPromptLength: wholeNumber(1).optional(),
});

/** Declares the options of {@link preferenceOptions}. */
export function withPreferenceOptions(command: Command): Command {
  return command
    .option('--beta <number>', 'pairs: weight of the distance from the reference', '0.1')
    .option('--label-smoothing <share>', 'pairs: share of labels that are held to be wrong (sigmoid)', '0')
    .option('--dpo-loss <name>', 'pairs: sigmoid (DPO) or ipo', 'sigmoid')
    .option(
      '--max-prompt-length <tokens>',
      'pairs: a prompt is not cut below it; a quarter of --max-length without it',
    );
}

/** As a trainer takes them. */
export function preferenceOf(input: z.output<typeof preferenceOptions>): PreferenceOptions {
  const { beta, labelSmoothing, dpoLoss, maxPromptLength } = input;
  return { beta, labelSmoothing, loss: dpoLoss, maxPromptLength };
}
