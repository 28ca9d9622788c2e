/** @file `tributary hub export`, `ledger`, `backup` and `restore`: what the hub gives away as files, and takes back. */

import { z } from 'zod';
import { askHub } from '../../../../core/hub/ask.ts';
import { restoreHub } from '../../../../core/hub/backup.ts';
import { runs } from '../../command.ts';
import { formatBytes } from '../../format.ts';
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
  command('backup', 'copy the hub as it is now, also while it runs')
    .requiredOption('--out <folder>', 'folder to write, which must not exist')
    .action(backup);
  command('restore', 'make a hub in an empty folder of a backup')
    .requiredOption('--from <folder>', 'what `hub backup` has written')
    .action(restore);
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

const backup = runs(folder.extend({ out: z.string() }), async ({ dir, out }, { output }) => {
  const made = await askHub(dir, 'backup', { out });
  output.line(
    `${made.files} files, ${formatBytes(made.bytes)}, are written to ${made.folder}. It holds the hub's keys.`,
  );
  output.result({ ...made });
});

const restore = runs(folder.extend({ from: z.string() }), async ({ dir, from }, { output }) => {
  const made = await restoreHub(from, dir);
  output.line(`The hub lies in ${dir}. Never run it beside the one that it was copied from.`);
  output.result({ ...made });
});
