/** @file `tributary hub export` and `ledger`: what the hub gives away as files. */

import { z } from 'zod';
import { askHub } from '../../../../core/hub/ask.ts';
import { runs } from '../../command.ts';
import { folder } from './folder.ts';
import type { AddCommand } from './folder.ts';

export function register(command: AddCommand): void {
  command('export', 'write the adapter of a completed run as a PEFT folder')
    .requiredOption('--run <id>', 'id of the run')
    .requiredOption('--out <folder>', 'folder to write')
    .action(exportAdapter);
  command('ledger', 'export the ledger as a file, for `audit verify`')
    .requiredOption('--out <file>', 'file to write')
    .action(exportLedger);
}

const exportOptions = folder.extend({ run: z.string(), out: z.string() });
const exportAdapter = runs(exportOptions, async ({ dir, run, out }, { output }) => {
  const made = await askHub(dir, 'export', { run, out });
  output.line(`The adapter of ${run} lies in ${made.adapter}.`);
  output.result(made);
});

const exportLedger = runs(folder.extend({ out: z.string() }), async ({ dir, out }, { output }) => {
  const made = await askHub(dir, 'ledger', { out });
  output.line(`${made.entries} entries are written to ${made.file}.`);
  output.result(made);
});
