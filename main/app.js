/**
 * @file `npm run app`: the window of a data owner. It is the desktop program where Electron's binary is on this machine,
 * and otherwise the same window in the browser. Nothing is fetched for it. The site lies in `$TRIBUTARY_HOME/site`, or
 * `~/.tributary/site`.
 */

import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findElectron, whyNotUsable } from './electron-binary.js';

const root = join(import.meta.dirname, '..');
const parts = ['out/tributary.js', 'out/desktop/main.js', 'out/desktop/preload.cjs', 'out/renderer/assets'];
if (!parts.every((path) => existsSync(join(root, path)))) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status } = spawnSync(npm, ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

const folder = join(process.env.TRIBUTARY_HOME ?? join(homedir(), '.tributary'), 'site');
const electron = findElectron(root);
const problem = electron === null ? 'Electron is not on this machine' : whyNotUsable(electron, root);
const words = process.argv.slice(2);
if (problem !== null) {
  console.log(`${problem}, so the window opens in the browser. Its site lies in ${folder}.`);
}
const program =
  problem === null
    ? spawn(electron, [root, ...words], { stdio: 'inherit' })
    : spawn(
        process.execPath,
        [join(root, 'main/cli/bin.js'), 'site', 'ui', '--dir', folder, '--open', ...words],
        {
          stdio: 'inherit',
        },
      );
// The terminal interrupts both; the site ends in order and this with it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => program.kill('SIGTERM'));
program.on('close', (status) => process.exit(status ?? 0));
