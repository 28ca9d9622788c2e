/** @file Keys in the keychain of the system: sealed, moved there from files, and never lost on the way. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openIdentity } from '../../core/federation/identity.ts';
import { nextIdentity, settleKeys } from '../../core/federation/rotation.ts';
import { fileSecrets } from '../../core/secrets.ts';
import type { SecretStore } from '../../core/secrets.ts';
import { vaultKey } from '../../core/vault/vault-key.ts';
import { openVault } from '../../core/vault/vault.ts';
import { keychainSecrets, secretsOf } from '../../main/desktop/keychain.ts';
import { World } from '../helpers/electron.ts';

let folder: string;
let world: World;
let secrets: SecretStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-keys-'));
  world = new World();
  secrets = keychainSecrets(folder, world.electron.safeStorage);
});
afterEach(() => rmSync(folder, { recursive: true }));
const files = () => readdirSync(folder).sort();

it('seals new keys, of which nothing can be read in the folder', async () => {
  const identity = await openIdentity(secrets);
  const key = await vaultKey(secrets, join(folder, 'vault.sqlite'));
  expect(files()).toEqual(['ed25519.pem.sealed', 'vault.key.sealed', 'x25519.pem.sealed']);
  for (const name of files()) {
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    const content = readFileSync(join(folder, name), 'utf8');
    expect(content).not.toContain('PRIVATE KEY');
    expect(content).not.toContain(Buffer.from(key).toString('base64url'));
  }
  expect(await openIdentity(secrets)).toEqual(identity);
  expect(await vaultKey(secrets, join(folder, 'vault.sqlite'))).toEqual(key);
});

it('takes the keys of files over, and deletes these only after the sealed ones were read back', async () => {
  const plain = fileSecrets(folder);
  const identity = await openIdentity(plain);
  const key = await vaultKey(plain, join(folder, 'vault.sqlite'));
  openVault(join(folder, 'vault.sqlite'), { key }).close();
  expect(await openIdentity(secrets)).toEqual(identity);
  expect(await vaultKey(secrets, join(folder, 'vault.sqlite'))).toEqual(key);
  expect(files().filter((name) => !name.startsWith('vault.sqlite'))).toEqual([
    'ed25519.pem.sealed',
    'vault.key.sealed',
    'x25519.pem.sealed',
  ]);
});

it('keeps the file where the keychain does not give back what it was given', async () => {
  await fileSecrets(folder).save('vault.key', 'the key');
  const forgetful = keychainSecrets(folder, {
    encryptStringAsync: () => Promise.resolve(Buffer.from('sealed ')),
    decryptStringAsync: () => Promise.resolve({ result: '', shouldReEncrypt: false }),
  });
  await expect(forgetful.load('vault.key')).rejects.toMatchObject({ code: 'secrets.unreadable' });
  expect(readFileSync(join(folder, 'vault.key'), 'utf8')).toBe('the key');
});

it('a crash between sealing and deleting leaves both, which are brought in order', async () => {
  await secrets.save('vault.key', 'the key');
  writeFileSync(join(folder, 'vault.key'), 'the key');
  expect(await secrets.load('vault.key')).toBe('the key');
  expect(files()).toEqual(['vault.key.sealed']);
});

it('of a sealed key and another in a file neither is deleted, and the sealed one counts', async () => {
  await secrets.save('vault.key', 'the key');
  writeFileSync(join(folder, 'vault.key'), 'another');
  expect(await secrets.load('vault.key')).toBe('the key');
  expect(readFileSync(join(folder, 'vault.key'), 'utf8')).toBe('another');
});

it('a locked keychain is an error that says so, and no key is made anew', async () => {
  await openIdentity(secrets);
  const before = readFileSync(join(folder, 'ed25519.pem.sealed'));
  world.keychain.isLocked = true;
  await expect(openIdentity(secrets)).rejects.toMatchObject({ code: 'secrets.unreadable' });
  expect(readFileSync(join(folder, 'ed25519.pem.sealed'))).toEqual(before);
});

it('seals again what was sealed with an older key of the keychain', async () => {
  await secrets.save('vault.key', 'the key');
  rmSync(join(folder, 'vault.key.sealed'));
  // As a program of an older keychain would have written it.
  writeFileSync(join(folder, 'vault.key.sealed'), 'sealed uid!jdx');
  const written = statSync(join(folder, 'vault.key.sealed')).ino;
  world.keychain.isOld = true;
  expect(await secrets.load('vault.key')).toBe('the key');
  expect(statSync(join(folder, 'vault.key.sealed')).ino).not.toBe(written);
});

it('seals keys that take the place of others, and nothing of those before is left', async () => {
  const before = await openIdentity(secrets);
  const next = await nextIdentity(secrets, 1);
  await settleKeys(folder, 1);
  expect(next).not.toEqual(before);
  expect(await openIdentity(secrets)).toEqual(next);
  expect(files().filter((name) => name.includes('pem'))).toEqual(['ed25519.pem.sealed', 'x25519.pem.sealed']);
  // A folder from before the keychain: the new keys were made in it.
  await openIdentity(fileSecrets(join(folder, 'old')));
  const old = keychainSecrets(join(folder, 'old'), world.electron.safeStorage);
  const newer = await nextIdentity(old, 1);
  await settleKeys(join(folder, 'old'), 1);
  expect(await openIdentity(old)).toEqual(newer);
  expect(readdirSync(join(folder, 'old')).sort()).toContain('ed25519.pem.sealed');
  expect(existsSync(join(folder, 'old', 'ed25519.pem'))).toBe(false);
});

it('programs without a keychain are refused, and make no keys of their own', async () => {
  await openIdentity(secrets);
  await expect(openIdentity(fileSecrets(folder))).rejects.toMatchObject({ code: 'secrets.sealed' });
  expect(existsSync(join(folder, 'ed25519.pem'))).toBe(false);
});

it('a Linux without a keychain keeps files, as does a system that offers no encryption', async () => {
  const kind = async (platform: NodeJS.Platform) =>
    (await secretsOf(folder, world.electron.safeStorage, platform)).kind;
  expect(await kind('linux')).toBe('keychain');
  world.keychain.backend = 'basic_text';
  expect(await kind('linux')).toBe('file');
  expect(await kind('win32')).toBe('keychain');
  world.keychain.isThere = false;
  expect(await kind('win32')).toBe('file');
});
