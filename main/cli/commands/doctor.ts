/** @file `tributary doctor`: says whether this machine has what Tributary needs. */

import type { Command } from 'commander';
import { z } from 'zod';
import { modelFolder } from '../../../core/model/catalogue.ts';
import { runs } from '../command.ts';
import { diagnose } from '../diagnosis.ts';

export function register(program: Command): void {
  program
    .command('doctor')
    .description('look at this machine: versions, memory, disk, folders')
    .action(
      runs(z.object({}), async (_, { output }) => {
        const findings = await diagnose(modelFolder());
        for (const { verdict, text } of findings) output.line(`${verdict.padEnd(7)}  ${text}`);
        const problems = findings.filter(({ verdict }) => verdict === 'problem').length;
        output.line(problems === 0 ? 'Nothing stands in the way.' : `To be mended: ${problems}.`);
        output.result({ findings, problems });
        if (problems > 0) process.exitCode = 1;
      }),
    );
}
