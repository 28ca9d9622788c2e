/** @file `npm run app`: Electron where its binary is, the browser otherwise, and nothing fetched for either. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findElectron, whyNotUsable } from '../../main/electron-binary.js';

let root: string;
let home: string;
const given = process.env['ELECTRON_OVERRIDE_DIST_PATH'];
beforeEach(() => {
  delete process.env['ELECTRON_OVERRIDE_DIST_PATH'];
  root = mkdtempSync(join(tmpdir(), 'tributary-app-'));
  home = join(root, 'node_modules/electron');
  mkdirSync(join(home, 'dist'), { recursive: true });
  // What the package runs when it is loaded without its binary; here it would be seen.
  writeFileSync(join(home, 'install.js'), "require('fs').writeFileSync(__dirname + '/fetched', '')");
});
afterEach(() => {
  if (given !== undefined) process.env['ELECTRON_OVERRIDE_DIST_PATH'] = given;
  rmSync(root, { recursive: true });
});

/** A binary that does what this script says. */
function binary(path: string, script: string): string {
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

it('finds no binary where the package brings none', () => {
  expect(findElectron(root)).toBeNull();
  writeFileSync(join(home, 'path.txt'), 'electron');
  expect(findElectron(root)).toBeNull();
});

it('finds the one that the package’s installer has put there, and before it the one that was named', () => {
  writeFileSync(join(home, 'path.txt'), 'electron');
  const installed = binary(join(home, 'dist/electron'), 'exit 0');
  expect(findElectron(root)).toBe(installed);
  mkdirSync(join(root, 'elsewhere'));
  process.env['ELECTRON_OVERRIDE_DIST_PATH'] = join(root, 'elsewhere');
  expect(findElectron(root)).toBeNull();
  const named = binary(join(root, 'elsewhere/electron'), 'exit 0');
  expect(findElectron(root)).toBe(named);
});

it.skipIf(process.platform === 'win32')(
  'tries the database in it as Node, and says how to compile it',
  () => {
    const good = binary(join(root, 'good'), '[ "$ELECTRON_RUN_AS_NODE" = 1 ]');
    expect(whyNotUsable(good, root)).toBeNull();
    const bad = binary(join(root, 'bad'), 'exit 1');
    expect(whyNotUsable(bad, root)).toContain('@electron/rebuild');
  },
);
