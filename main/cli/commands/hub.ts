/** @file `tributary hub`: the headless hub, each in its folder. */

import type { Command } from 'commander';
import { register as registerControl } from './hub/control.ts';
import { register as registerFiles } from './hub/files.ts';
import type { AddCommand } from './hub/folder.ts';
import { register as registerMembers } from './hub/members.ts';
import { register as registerPlans } from './hub/plans.ts';
import { register as registerProcess } from './hub/process.ts';
import { register as registerRuns } from './hub/runs.ts';

export function register(program: Command): void {
  const hub = program.command('hub').description('run the hub of a federation');
  const command: AddCommand = (name, description) =>
    hub.command(name).description(description).requiredOption('--dir <folder>', 'folder of the hub');
  for (const add of [registerProcess, registerMembers, registerRuns, registerControl, registerFiles])
    add(command);
  registerPlans(hub);
}
