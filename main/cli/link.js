/**
 * @file Run by `npm ci`: makes `npx tributary` start this checkout. npm links the programs of dependencies only,
 * and a `bin` field in package.json would make npx install the checkout into its cache first.
 */

import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const programs = join(import.meta.dirname, '../../node_modules/.bin');
mkdirSync(programs, { recursive: true });
if (process.platform === 'win32') {
  writeFileSync(join(programs, 'tributary.cmd'), '@node "%~dp0\\..\\..\\main\\cli\\bin.js" %*\r\n');
} else {
  const link = join(programs, 'tributary');
  chmodSync(join(import.meta.dirname, 'bin.js'), 0o755);
  rmSync(link, { force: true });
  symlinkSync('../../main/cli/bin.js', link);
}
