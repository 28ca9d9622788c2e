/** @file Where Tributary keeps what belongs to the user of this machine, and where the machine's owner sets rules. */

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `$TRIBUTARY_HOME`, or `~/.tributary`. */
export function dataFolder(): string {
  return process.env['TRIBUTARY_HOME'] ?? join(homedir(), '.tributary');
}

/**
 * What an installed program was packed with beside its own files, such as the bundled model; it can only be read.
 * Undefined where the program was built here.
 */
export function shippedFolder(): string | undefined {
  return (process as { readonly resourcesPath?: string }).resourcesPath;
}

/** Files of the machine's owner, as far as they exist; only an administrator may write there. */
export interface MachineRules {
  /** A policy that no site's own can widen. */
  readonly policy?: string;
  /** Settings of windows that cannot be changed there. */
  readonly settings?: string;
}

/** `/etc/tributary`, or `%ProgramData%\\tributary`. */
export function machineRules(): MachineRules {
  const owned = process.platform === 'win32' ? (process.env['ProgramData'] ?? 'C:\\ProgramData') : '/etc';
  const at = (name: string): string | undefined => {
    const path = join(owned, 'tributary', name);
    return existsSync(path) ? path : undefined;
  };
  return { policy: at('policy.json'), settings: at('settings.json') };
}
