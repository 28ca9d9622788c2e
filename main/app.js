/**
 * @file `npm run app`: the window of a data owner. It opens in the browser of this machine: the desktop program needs
 * Electron, which this version does not bring. The site lies in `$TRIBUTARY_HOME/site`, or `~/.tributary/site`.
 */

import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const built = ['out/tributary.js', 'out/renderer/assets'].every((path) => existsSync(join(root, path)));
if (!built) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status } = spawnSync(npm, ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

const folder = join(process.env.TRIBUTARY_HOME ?? join(homedir(), '.tributary'), 'site');
console.log(`Electron is not here, so the window opens in the browser. Its site lies in ${folder}.`);
const words = ['site', 'ui', '--dir', folder, '--open', ...process.argv.slice(2)];
const site = spawn(process.execPath, [join(root, 'main/cli/bin.js'), ...words], { stdio: 'inherit' });
// The terminal interrupts both; the site ends in order and this with it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => site.kill('SIGTERM'));
site.on('close', (status) => process.exit(status ?? 0));
