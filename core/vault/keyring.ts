/** @file Where the vault's key is kept: the operating system's keychain where a program brings one, or a file. */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TributaryError } from '../errors.ts';
import { writeFileAtomically } from '../files.ts';
import { KEY_BYTES } from './cipher.ts';
import { isEncrypted } from './schema.ts';

export interface Keyring {
  /** Where the key lies, for people, e.g. "the keychain of this computer". */
  readonly place: string;
  /** The key, or null where there is none yet. */
  load(): Promise<Uint8Array | null>;
  /** Keeps a new key; it is on disk when this resolves. */
  save(key: Uint8Array): Promise<void>;
}

/** Name of the key's file in a site's folder. */
export const KEY_FILE = 'vault.key';

/** A keyring of one file that only this account may read. @throws TributaryError `vault.damaged-key` */
export function fileKeyring(folder: string): Keyring {
  const path = join(folder, KEY_FILE);
  return {
    place: path,
    load: async () => {
      if (!existsSync(path)) return null;
      const key = Buffer.from((await readFile(path, 'utf8')).trim(), 'base64url');
      if (key.length !== KEY_BYTES)
        throw new TributaryError('vault.damaged-key', `${path} does not hold a key of ${KEY_BYTES} bytes.`);
      if (process.platform !== 'win32') await chmod(path, 0o600);
      return key;
    },
    save: async (key) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomically(path, `${Buffer.from(key).toString('base64url')}\n`, 0o600);
    },
  };
}

/**
 * The key of a vault, made at first use. A vault that is encrypted already gets no new key.
 * @throws TributaryError `vault.no-key` where the key of an encrypted vault is gone
 */
export async function vaultKey(keyring: Keyring, vaultPath: string): Promise<Uint8Array> {
  const known = await keyring.load();
  if (known !== null) return known;
  if (isEncrypted(vaultPath))
    throw new TributaryError('vault.no-key', `The key of ${vaultPath} is not in ${keyring.place}.`);
  const key = randomBytes(KEY_BYTES);
  await keyring.save(key);
  return key;
}
