/**
 * @file How rows are sealed on disk: AES-256-GCM in blocks, a key per dataset that follows from the vault's key and
 * the dataset's salt, and additional data that say which block of which dataset it is, so that blocks cannot change
 * places. Without its salt a withdrawn dataset cannot be read from a copy of its blocks either.
 */

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { TributaryError } from '../errors.ts';

export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface VaultKeys {
  /** Bytes by which a database knows its key again. */
  readonly check: Buffer;
  readonly datasetKey: (salt: Uint8Array) => Buffer;
  /** The same for one person in every dataset of this vault, and of no use without its key: 128 bits, base64url. */
  readonly personHash: (person: string) => string;
}

/** @throws TypeError for a key that has not 32 bytes */
export function deriveKeys(key: Uint8Array): VaultKeys {
  if (key.length !== KEY_BYTES)
    throw new TypeError(`A vault's key has ${KEY_BYTES} bytes, not ${key.length}.`);
  const derive = (salt: Uint8Array, purpose: string): Buffer =>
    Buffer.from(hkdfSync('sha256', key, salt, `tributary vault ${purpose}`, KEY_BYTES));
  const person = derive(Buffer.alloc(0), 'person');
  return {
    check: derive(Buffer.alloc(0), 'check'),
    datasetKey: (salt) => derive(salt, 'dataset'),
    personHash: (name) =>
      createHmac('sha256', person)
        .update(name.normalize('NFC').trim())
        .digest()
        .subarray(0, 16)
        .toString('base64url'),
  };
}

/** @throws TributaryError `vault.wrong-key` */
export function requireSameKey(keys: VaultKeys, check: Uint8Array): void {
  if (check.length === keys.check.length && timingSafeEqual(check, keys.check)) return;
  throw new TributaryError('vault.wrong-key', 'The vault was encrypted with another key.');
}

/** Where a block belongs. */
export interface BlockPlace {
  readonly dataset: number;
  /** Position of its first row, and how many it has. */
  readonly first: number;
  readonly rows: number;
}

/** Nonce (12 bytes), sealed text, tag (16 bytes). */
export function sealBlock(key: Uint8Array, place: BlockPlace, text: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(additionalData(place));
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** @throws TributaryError `vault.damaged` for a block that was changed or moved */
export function openBlock(key: Uint8Array, place: BlockPlace, sealed: Uint8Array): Buffer {
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const end = sealed.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce);
    decipher.setAAD(additionalData(place));
    decipher.setAuthTag(sealed.subarray(end));
    const text = decipher.update(sealed.subarray(NONCE_BYTES, end));
    decipher.final();
    return text;
  } catch (cause) {
    const what = `Rows ${place.first + 1} to ${place.first + place.rows} of a dataset were changed on the disk.`;
    throw new TributaryError('vault.damaged', what, { cause });
  }
}

function additionalData({ dataset, first, rows }: BlockPlace): Buffer {
  return Buffer.from(`tributary vault block ${dataset} ${first} ${rows}`);
}
