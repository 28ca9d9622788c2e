/** @file Electron's binary as far as it is on this machine. Loading the package itself would fetch what is missing. */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const EXECUTABLES = { darwin: 'Electron.app/Contents/MacOS/Electron', win32: 'electron.exe' };

/**
 * Its path, from the folder that ELECTRON_OVERRIDE_DIST_PATH names or where its own installer has put it; null where it
 * is not.
 * @param {string} root of the project
 * @returns {string | null}
 */
export function findElectron(root) {
  const home = join(root, 'node_modules/electron');
  const note = join(home, 'path.txt');
  const executable = existsSync(note)
    ? readFileSync(note, 'utf8').trim()
    : (EXECUTABLES[process.platform] ?? 'electron');
  const path = join(process.env.ELECTRON_OVERRIDE_DIST_PATH ?? join(home, 'dist'), executable);
  return existsSync(path) ? path : null;
}

/**
 * Why the desktop program cannot run in it, as the beginning of a sentence; null where it can. The database's module is
 * compiled for Node or for Electron, and `npm ci` leaves the one for Node.
 * @param {string} electron path of the binary
 * @param {string} root of the project
 * @returns {string | null}
 */
export function whyNotUsable(electron, root) {
  const script = "new (require('better-sqlite3'))(':memory:').close()";
  const env = { ...process.env, ELECTRON_RUN_AS_NODE: '1' };
  const { status } = spawnSync(electron, ['-e', script], { cwd: root, env, stdio: 'ignore' });
  if (status === 0) return null;
  return 'Electron is here, but the database is compiled for Node (`npx @electron/rebuild -o better-sqlite3` compiles it for Electron)';
}
