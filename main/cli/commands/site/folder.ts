/** @file What the commands of `tributary site` share. */

import { z } from 'zod';
import { openSettings } from '../../../../core/bridge/settings.ts';
import { networkOf } from '../../../../core/bridge/site/network.ts';
import { machineRules } from '../../../../core/folders.ts';
import type { AskOptions } from '../../../../core/site/ask.ts';
import { SOFTWARE } from '../../../version.ts';

/** The folder of the site. */
export const folder = z.object({ dir: z.string() });

/** How the site of a folder is asked, whether it is running or not. */
export function askingSite(dir: string): AskOptions {
  const machine = machineRules();
  const settings = openSettings(dir, machine.settings);
  return {
    ...{ folder: dir, software: SOFTWARE, machinePolicy: machine.policy },
    network: () => networkOf(settings),
  };
}
