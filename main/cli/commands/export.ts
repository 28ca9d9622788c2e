/** @file `tributary export`: an adapter for others, by itself or in the weights of its model. */

import type { Command } from 'commander';
import { z } from 'zod';
import { exportAdapter } from '../../../core/export/export.ts';
import { EXPORT_FORMATS, FORMAT_TABLE, WEIGHT_TYPES } from '../../../core/export/formats.ts';
import { runs } from '../command.ts';

const options = z.object({
  adapter: z.string(),
  model: z.string().optional(),
  format: z.enum(EXPORT_FORMATS),
  type: z.enum(WEIGHT_TYPES).optional(),
  out: z.string(),
});

const types = (['merged', 'gguf', 'onnx'] as const)
  .map((format) => `${FORMAT_TABLE[format].types.join(', ')} for ${format}`)
  .join('; ');

export function register(program: Command): void {
  program
    .command('export')
    .description('write an adapter for others, by itself or merged into its model')
    .requiredOption('--adapter <folder>', 'PEFT folder')
    .option(
      '--model <model>',
      'id in the catalogue, `tiny`, GGUF file or Hugging Face folder; peft can do without where the adapter names it',
    )
    .requiredOption('--format <name>', EXPORT_FORMATS.join(', '))
    .option('--type <name>', `of merged weights, the first by default: ${types}`)
    .requiredOption('--out <folder>', 'folder to write; it must not exist or be empty')
    .action(
      runs(options, async (input, { output, progress, interruption }) => {
        const bar = progress('Exporting');
        const files = await exportAdapter({
          ...input,
          signal: interruption(),
          onProgress: ({ done, total }) => bar.update(done, total, 'tensors'),
        });
        bar.finish(`${files.length} files are written to ${input.out}.`);
        output.result({ files });
      }),
    );
}
