/** @file `tributary hub export`, `ledger`, `backup` and `restore`: what the hub gives away as files, and takes back. */

import { z } from 'zod';
import { askHub } from '../../../../core/hub/ask.ts';
import { restoreHub } from '../../../../core/hub/backup.ts';
import { formatBytes } from '../../../../core/sizes.ts';
import { runs } from '../../command.ts';
import { folder } from './folder.ts';
import type { AddCommand } from './folder.ts';

export function register(command: AddCommand): void {
  command('export', 'write the adapter of a completed run, or of a round, as a PEFT folder')
    .requiredOption('--run <id>', 'id of the run')
    .option('--round <best|last|number>', 'the best scored round, the last closed one, or a round from 1')
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

const exportOptions = folder.extend({
  run: z.string(),
  out: z.string(),
  round: z.union([z.enum(['best', 'last']), z.coerce.number().int().min(1)]).optional(),
});
const exportAdapter = runs(exportOptions, async ({ dir, run, out, round }, { output }) => {
  const made = await askHub(dir, 'export', { run, out, round });
  const which = made.round === null ? '' : `, round ${made.round},`;
  output.line(`The adapter of ${run}${which} lies in ${made.adapter}.`);
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
