/** @file electron-builder.yml, held against electron-builder's own schema, and what of it nobody may loosen. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Packager } from 'electron-builder';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

it('does not pass electron-builder’s schema with misspelt keys', async () => {
  const config: object = { asarUnpak: [], electronFuses: { runAsNod: false } };
  const problem = await new Packager({ projectDir: root, config }).validateConfig().catch(String);
  expect(problem).toContain("unknown property 'asarUnpak'");
  expect(problem).toContain('configuration.electronFuses');
});

it('passes as it is, turns every fuse to the safe side, and uploads nothing', async () => {
  const packager = new Packager({ projectDir: root });
  await packager.validateConfig();
  expect(packager.config.electronFuses).toEqual({
    runAsNode: false,
    enableNodeOptionsEnvironmentVariable: false,
    enableNodeCliInspectArguments: false,
    enableCookieEncryption: true,
    enableEmbeddedAsarIntegrityValidation: true,
    onlyLoadAppFromAsar: true,
    loadBrowserProcessSpecificV8Snapshot: false,
    grantFileProtocolExtraPrivileges: false,
  });
  expect(packager.config.publish).toEqual({
    provider: 'generic',
    url: 'https://updates.tributary.invalid',
  });
  expect(packager.config.mac).toMatchObject({ hardenedRuntime: true });
  expect(packager.config.nsis).toMatchObject({ perMachine: true, deleteAppDataOnUninstall: false });
});

it('brings an icon for each system, which electron-builder would fetch a tool to make', () => {
  const icons = [
    'icon.ico',
    'icon.icns',
    ...[16, 32, 48, 64, 128, 256, 512].map((side) => `icons/${side}x${side}.png`),
  ];
  const missing = icons.filter((name) => !existsSync(join(root, 'packaging/resources', name)));
  expect(missing).toEqual([]);
});
