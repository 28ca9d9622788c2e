/**
 * @file The keychain of the system as the place of a folder's secrets (Electron's safeStorage). Each is sealed into a
 * file beside the one that it had without a keychain, which is deleted only once the sealed one has been read back.
 */

import { mkdir, readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { SafeStorage } from 'electron';
import { TributaryError } from '../../core/errors.ts';
import { syncFolder, writeFileAtomically } from '../../core/files.ts';
import { fileSecrets, sealedFile } from '../../core/secrets.ts';
import type { SecretName, SecretStore } from '../../core/secrets.ts';

export type Keychain = Pick<SafeStorage, 'encryptStringAsync' | 'decryptStringAsync'>;

/** On Linux, what is no keychain: a password that stands in the program's source. */
const NO_KEYCHAIN: ReadonlySet<string> = new Set(['basic_text', 'unknown']);

/** The place of a folder's secrets on this system: its keychain, or files where it has none worth the name. */
export async function secretsOf(
  folder: string,
  safeStorage: Keychain & Pick<SafeStorage, 'isAsyncEncryptionAvailable' | 'getSelectedStorageBackend'>,
  platform: NodeJS.Platform,
): Promise<{ readonly kind: 'keychain' | 'file'; readonly store: SecretStore }> {
  const isThere =
    (await safeStorage.isAsyncEncryptionAvailable()) &&
    !(platform === 'linux' && NO_KEYCHAIN.has(safeStorage.getSelectedStorageBackend()));
  return isThere
    ? { kind: 'keychain', store: keychainSecrets(folder, safeStorage) }
    : { kind: 'file', store: fileSecrets(folder) };
}

export function keychainSecrets(folder: string, keychain: Keychain): SecretStore {
  const files = fileSecrets(folder);
  const place = (name: SecretName): string => sealedFile(folder, name);

  async function save(name: SecretName, secret: string): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFileAtomically(place(name), await keychain.encryptStringAsync(secret), 0o600);
    if ((await unseal(name)).secret !== secret) throw unreadable(name);
    await rm(files.place(name), { force: true });
    await syncFolder(folder);
  }

  async function unseal(name: SecretName): Promise<{ readonly secret: string; readonly isOld: boolean }> {
    try {
      const { result, shouldReEncrypt } = await keychain.decryptStringAsync(await readFile(place(name)));
      return { secret: result, isOld: shouldReEncrypt };
    } catch (cause) {
      throw unreadable(name, cause);
    }
  }

  function unreadable(name: SecretName, cause?: unknown): TributaryError {
    return new TributaryError(
      'secrets.unreadable',
      `The keychain of this system does not open ${place(name)}.`,
      { cause },
    );
  }

  return {
    place,
    save,
    inside: (name) => keychainSecrets(join(folder, name), keychain),
    load: async (name) => {
      const plain = existsSync(files.place(name)) ? await files.load(name) : null;
      if (!existsSync(place(name))) {
        if (plain !== null) await save(name, plain);
        return plain;
      }
      // A crash between sealing and deleting leaves both; of two that differ neither is deleted.
      const { secret, isOld } = await unseal(name);
      if (isOld || plain === secret) await save(name, secret);
      return secret;
    },
  };
}
