/** @file `tributary audit`: checks ledgers, offline. */

import type { Command } from 'commander';
import { z } from 'zod';
import { verifyLedger } from '../../../core/federation/ledger-verification.ts';
import { runs } from '../command.ts';

const verifyOptions = z.object({ ledger: z.string(), witness: z.array(z.string()).default([]) });

export function register(program: Command): void {
  const audit = program.command('audit').description('check ledgers, offline');
  audit
    .command('verify')
    .description('check every entry of an exported ledger, or of the folder of a hub or a site')
    .argument('<ledger>', 'file or folder')
    .option('--witness <ledger...>', 'ledgers of sites, whose countersigned entries must be in this one')
    .action(
      runs(verifyOptions, async ({ ledger, witness }, { output }) => {
        const { entries, verified, firstBroken, owner } = await verifyLedger(ledger, { witnesses: witness });
        output.line(
          firstBroken === null
            ? `All ${entries} entries are intact and signed by ${owner}.`
            : `Entry ${firstBroken.index} is broken: ${firstBroken.reason}.`,
        );
        output.result({
          entries,
          verified,
          firstBroken: firstBroken?.index ?? null,
          reason: firstBroken?.reason ?? null,
        });
        if (!verified) process.exitCode = 1;
      }),
    );
}
