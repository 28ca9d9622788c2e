/** @file What the answers to a hub's window work on: the running hub of a folder, and its windows' settings. */

import type { Hub } from '../../hub/hub.ts';
import type { Dispatcher } from '../dispatch.ts';
import type { Network } from '../../network/network.ts';
import type { Program } from '../program.ts';
import type { SettingsFile } from '../settings.ts';
import type { Tasks } from '../tasks.ts';

export interface HubApplication {
  readonly folder: string;
  readonly program: Program;
  readonly settings: SettingsFile;
  readonly tasks: Tasks;
  readonly network: Network;
  readonly emit: Dispatcher['emit'];
  readonly hub: Hub;
}
