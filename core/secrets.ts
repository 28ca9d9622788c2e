/**
 * @file Where the secrets of a folder are kept: in files that the account alone may read, unless a program brings the
 * keychain of the system. A keychain seals each secret into a file of its own beside.
 */

import { chmod, mkdir, readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TributaryError } from './errors.ts';
import { writeFileAtomically } from './files.ts';

/** Private keys of a hub or a site, and the key of a vault; the names of their files. */
export type SecretName = `${'' | 'former.'}${'ed25519' | 'x25519'}.pem` | 'vault.key';

export interface SecretStore {
  /** Where a secret lies, for people. */
  place(name: SecretName): string;
  /** The secret, or null where there is none yet. Throws `secrets.*`. */
  load(name: SecretName): Promise<string | null>;
  /** Keeps a new secret; it is on disk when this resolves. */
  save(name: SecretName, secret: string): Promise<void>;
  /** The same for a folder in that folder. */
  inside(name: string): SecretStore;
}

/** File of a secret that a keychain has sealed. */
export function sealedFile(folder: string, name: SecretName): string {
  return join(folder, `${name}.sealed`);
}

/** Secrets in files of mode 0600. What a keychain has sealed cannot be read so, and is never made anew. */
export function fileSecrets(folder: string): SecretStore {
  const place = (name: SecretName): string => join(folder, name);
  return {
    place,
    load: async (name) => {
      const path = place(name);
      if (existsSync(path)) {
        // Restored copies often come back readable by everyone.
        if (process.platform !== 'win32') await chmod(path, 0o600);
        return readFile(path, 'utf8');
      }
      if (!existsSync(sealedFile(folder, name))) return null;
      throw new TributaryError(
        'secrets.sealed',
        `The keys in ${folder} are sealed by the keychain of this system, which the desktop program alone can ask.`,
      );
    },
    save: async (name, secret) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomically(place(name), secret, 0o600);
    },
    inside: (name) => fileSecrets(join(folder, name)),
  };
}
