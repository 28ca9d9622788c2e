/** @file Where Tributary keeps what belongs to the user of this machine. */

import { homedir } from 'node:os';
import { join } from 'node:path';

/** `$TRIBUTARY_HOME`, or `~/.tributary`. */
export function dataFolder(): string {
  return process.env['TRIBUTARY_HOME'] ?? join(homedir(), '.tributary');
}
