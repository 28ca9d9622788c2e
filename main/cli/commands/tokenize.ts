/** @file `tributary tokenize`: shows the token ids of a text. */

import { text as readText } from 'node:stream/consumers';
import type { Command } from 'commander';
import { z } from 'zod';
import { openModel } from '../../../core/model/open.ts';
import { runs } from '../command.ts';

const options = z.object({ model: z.string(), text: z.string().optional(), special: z.boolean() });

export function register(program: Command): void {
  program
    .command('tokenize')
    .description('show the token ids of a text')
    .requiredOption('--model <model>', 'id in the catalogue, GGUF file or Hugging Face folder')
    .option('--text <text>', 'the text; without it the standard input is read')
    .option('--no-special', 'take the strings of special tokens for ordinary text')
    .action(
      runs(options, async ({ model: reference, text, special }, { output }) => {
        const model = await openModel(reference);
        try {
          const input = text ?? (await readText(process.stdin));
          const ids = model.tokenizer.encode(input, { special }).ids;
          output.line(ids.join(' '));
          output.result({ ids });
        } finally {
          model.close();
        }
      }),
    );
}
