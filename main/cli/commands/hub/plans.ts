/** @file `tributary hub presets` and `plan-schema`: plans to begin with, and everything that one may say. */

import type { Command } from 'commander';
import { z } from 'zod';
import { planJsonSchema } from '../../../../core/federation/plan.ts';
import { presetNames } from '../../../../core/federation/presets.ts';
import { runs } from '../../command.ts';

export function register(hub: Command): void {
  hub
    .command('presets')
    .description('the plans that come with the program, for `hub propose preset:NAME`')
    .action(listPresets);
  hub
    .command('plan-schema')
    .description('JSON Schema of a plan: every field with its meaning, limits and default')
    .action(printSchema);
}

const listPresets = runs(z.object({}), async (_, { output }) => {
  const names = await presetNames();
  for (const name of names) output.line(`preset:${name}`);
  output.result({ presets: names });
});

const printSchema = runs(z.object({}), (_, { output }) => {
  const schema = planJsonSchema();
  output.line(JSON.stringify(schema, null, 2));
  output.result({ schema });
});
