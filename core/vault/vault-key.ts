/** @file The key that seals the rows of a vault, among the secrets of its folder. */

import { randomBytes } from 'node:crypto';
import { TributaryError } from '../errors.ts';
import type { SecretStore } from '../secrets.ts';
import { KEY_BYTES } from './cipher.ts';
import { isEncrypted } from './schema.ts';

const NAME = 'vault.key';

/**
 * The key of a vault, made at first use. A vault that is encrypted already gets no new key.
 * @throws TributaryError `vault.damaged-key`, and `vault.no-key` where the key of an encrypted vault is gone
 */
export async function vaultKey(secrets: SecretStore, vaultPath: string): Promise<Uint8Array> {
  const known = await secrets.load(NAME);
  if (known !== null) {
    const key = Buffer.from(known.trim(), 'base64url');
    if (key.length === KEY_BYTES) return key;
    const what = `${secrets.place(NAME)} does not hold a key of ${KEY_BYTES} bytes.`;
    throw new TributaryError('vault.damaged-key', what);
  }
  if (isEncrypted(vaultPath)) {
    throw new TributaryError('vault.no-key', `The key of ${vaultPath} is not in ${secrets.place(NAME)}.`);
  }
  const key = randomBytes(KEY_BYTES);
  await secrets.save(NAME, `${key.toString('base64url')}\n`);
  return key;
}
