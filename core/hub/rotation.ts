/**
 * @file New keys for a hub. Those before stay until the coordinator says that every site has come: under them a site
 * that was away is answered, and told of the new ones by a statement that both pairs sign.
 */

import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { openDatabase } from '../database.ts';
import { TributaryError } from '../errors.ts';
import { fingerprint, publicIdentity, readIdentity, sign } from '../federation/identity.ts';
import type { Identity } from '../federation/identity.ts';
import type { MessageOf } from '../federation/messages.ts';
import { FORMER_KEYS, nextIdentity, rotationStatement, settleKeys } from '../federation/rotation.ts';
import { fileSecrets } from '../secrets.ts';
import { keyTextShape, signatureTextShape } from '../federation/shapes.ts';
import type { HubContext } from './context.ts';
import { MIGRATIONS } from './migrations/index.ts';
import { DATABASE_FILE } from './store.ts';

const GENERATION = 'key-generation';
const ROTATION = 'hub-rotation';

const rotationShape = z.object({
  ed25519: keyTextShape,
  x25519: keyTextShape,
  signature: signatureTextShape,
  proof: signatureTextShape,
});

/** Brings the files of a hub's keys to where its database says, after whatever death; before the keys are opened. */
export async function settleHubKeys(folder: string): Promise<void> {
  const database = openDatabase(join(folder, DATABASE_FILE), MIGRATIONS);
  const setting = (name: string): string | undefined =>
    database.prepare<[string], { value: string }>('SELECT value FROM setting WHERE name = ?').get(name)
      ?.value;
  const [generation, rotation] = [setting(GENERATION), setting(ROTATION)];
  database.close();
  if (generation !== undefined) await settleKeys(folder, Number(generation), { keepFormer: true });
  if (!rotation) for (const name of FORMER_KEYS) await rm(join(folder, name), { force: true });
}

/** The keys before, while they are still answered to. */
export async function formerIdentity(folder: string): Promise<Identity | null> {
  return FORMER_KEYS.every((name) => existsSync(join(folder, name)))
    ? readIdentity(fileSecrets(folder), 'former.')
    : null;
}

/** Makes new keys for a hub that is not running. Throws `hub.rotating`. */
export async function rotateHubKeys(hub: HubContext): Promise<{ fingerprint: string }> {
  const { folder, identity, store } = hub;
  if (hub.former !== null) {
    throw new TributaryError(
      'hub.rotating',
      'The keys of this hub have just changed; not every site may know.',
    );
  }
  const generation = Number(store.setting(GENERATION) ?? '0') + 1;
  const next = await nextIdentity(fileSecrets(folder), generation);
  const keys = publicIdentity(next);
  const federation = store.setting('federation') ?? '';
  const statement = rotationStatement({ federation, site: '', from: identity.x25519.publicKey, ...keys });
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
  const rotation: z.infer<typeof rotationShape> = {
    ...{ ed25519: text(keys.ed25519), x25519: text(keys.x25519) },
    ...{ signature: text(sign(identity.ed25519, statement)), proof: text(sign(next.ed25519, statement)) },
  };
  store.transition('rotate-hub', () => {
    store.ledger.rotate(next, { x25519: text(keys.x25519) });
    store.setSetting(GENERATION, String(generation));
    store.setSetting(ROTATION, JSON.stringify(rotation));
  });
  await settleHubKeys(folder);
  return { fingerprint: fingerprint(keys) };
}

/** The keys before are answered to no more, and deleted. */
export async function retireFormerKeys({ folder, store }: HubContext): Promise<void> {
  store.transition('retire-keys', () => store.setSetting(ROTATION, ''));
  await settleHubKeys(folder);
}

/** What a site that came under the keys before is told. */
export function hubKeysMessage({ store }: HubContext): MessageOf<'hub-keys'> {
  const rotation = rotationShape.parse(JSON.parse(store.setting(ROTATION) ?? ''));
  const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));
  const { ed25519, x25519, signature, proof } = rotation;
  return {
    type: 'hub-keys',
    ...{ ed25519: bytes(ed25519), x25519: bytes(x25519), signature: bytes(signature), proof: bytes(proof) },
  };
}
