/** @file Starting with the person's login: only where the setting was turned on, and no longer once it is turned off. */

import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { App } from 'electron';
import { writeFileAtomically } from '../../core/files.ts';

/** The word with which the program starts without its window. */
export const HIDDEN = '--hidden';

export interface LoginItemOptions {
  readonly platform: NodeJS.Platform;
  /** The person's folder of settings, where Linux looks for what to start. */
  readonly configuration: string;
  /** What to start. */
  readonly executable: string;
}

export async function setLoginItem(
  app: Pick<App, 'setLoginItemSettings'>,
  wanted: boolean,
  { platform, configuration, executable }: LoginItemOptions,
): Promise<void> {
  if (platform !== 'linux') {
    app.setLoginItemSettings({ openAtLogin: wanted, args: [HIDDEN] });
    return;
  }
  const path = join(configuration, 'autostart', 'tributary.desktop');
  if (!wanted) return rm(path, { force: true });
  await mkdir(dirname(path), { recursive: true });
  const quoted = executable.replace(/["\\`$]/g, '\\$&');
  const lines = ['[Desktop Entry]', 'Type=Application', 'Name=Tributary', `Exec="${quoted}" ${HIDDEN}`, ''];
  await writeFileAtomically(path, lines.join('\n'), 0o644);
}
