/** @file What the commands of `tributary site` share. */

import { z } from 'zod';
import { machineRules } from '../../../../core/folders.ts';
import type { AskOptions } from '../../../../core/site/ask.ts';
import { SOFTWARE } from '../../version.ts';

/** The folder of the site. */
export const folder = z.object({ dir: z.string() });

/** How the site of a folder is asked, whether it is running or not. */
export function askingSite(dir: string): AskOptions {
  return { folder: dir, software: SOFTWARE, machinePolicy: machineRules().policy };
}
