/**
 * @file `npm run test:electron-node`: the gate, `.ci/run`, on the major of Node.js that Electron embeds, which its npm
 * package names by the types it asks for. Binary and headers, for better-sqlite3, come from npm.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const { dependencies } = JSON.parse(readFileSync(join(root, 'node_modules/electron/package.json'), 'utf8'));
const [, major] = /^\D*(\d+)/.exec(dependencies['@types/node']);
const platform = process.platform === 'win32' ? 'win' : process.platform;
const name = `node-${platform}-${process.arch}`;

const scratch = mkdtempSync(join(tmpdir(), 'tributary-node-'));
try {
  writeFileSync(join(scratch, 'package.json'), '{"private":true}');
  const install = ['install', '--no-audit', '--no-fund', '--prefix', scratch, `${name}@${major}`];
  process.exitCode = run('npm', install);
  if (process.exitCode === 0) {
    const folder = join(scratch, 'node_modules', name);
    const path = `${join(folder, 'bin')}${delimiter}${process.env.PATH}`;
    const env = { ...process.env, PATH: path, npm_config_nodedir: folder };
    run('node', ['--version'], env);
    process.exitCode = run(join(root, '.ci/run'), process.argv.slice(2), env);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function run(command, words, env = process.env) {
  const options = { cwd: root, stdio: 'inherit', env, shell: process.platform === 'win32' };
  return spawnSync(command, words, options).status ?? 1;
}
