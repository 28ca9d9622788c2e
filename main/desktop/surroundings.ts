/** @file What the desktop program takes from the system beside Electron. */

import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Updater } from './updates.ts';

export interface Surroundings {
  /** The words that the program was started with. */
  readonly words: readonly string[];
  readonly platform: NodeJS.Platform;
  /** The person's folder of settings of programs. */
  readonly configuration: string;
  /** What was started; of an AppImage its file, not the program that was unpacked for this once. */
  readonly executable: string;
  readonly loadUpdater: () => Promise<Updater>;
}

export function systemSurroundings(): Surroundings {
  return {
    words: process.argv,
    platform: process.platform,
    configuration: process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'),
    executable: process.env['APPIMAGE'] ?? process.execPath,
    loadUpdater: async () => (await import('electron-updater')).default.autoUpdater,
  };
}
