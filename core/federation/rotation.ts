/**
 * @file New keys in the place of those before. The new ones lie in a folder of their own until a database says that
 * they count; then their files move over the old ones, which are gone from then on.
 */

import { existsSync } from 'node:fs';
import { copyFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../files.ts';
import { sealedFile } from '../secrets.ts';
import type { SecretStore } from '../secrets.ts';
import { openIdentity } from './identity.ts';
import type { Identity, Statement } from './identity.ts';

/** What the owner of the keys before signs, and the owner of the new ones too. */
export interface KeyChange {
  readonly federation: string;
  /** Empty where the keys are the hub's. */
  readonly site: string;
  /** The X25519 key before: what was signed for one change is of no use for another. */
  readonly from: Uint8Array;
  readonly ed25519: Uint8Array;
  readonly x25519: Uint8Array;
}

export function rotationStatement({ federation, site, from, ed25519, x25519 }: KeyChange): Statement {
  return ['tributary rotation', federation, site, from, ed25519, x25519];
}

/** Where a hub keeps the keys before, for sites that do not know the new ones yet. */
export const FORMER_KEYS = ['former.ed25519.pem', 'former.x25519.pem'];

const folderOf = (generation: number): string => join('keys', String(generation));

/** The keys of a generation that is to come; made at first use, the same ones after a crash. */
export function nextIdentity(secrets: SecretStore, generation: number): Promise<Identity> {
  return openIdentity(secrets.inside(folderOf(generation)));
}

/** Moves the files of the generation that counts into their place, or what a crash has left of that to do. */
export async function settleKeys(
  folder: string,
  generation: number,
  { keepFormer = false }: { readonly keepFormer?: boolean } = {},
): Promise<void> {
  const from = join(folder, folderOf(generation));
  if (!existsSync(from)) return;
  for (const name of ['ed25519.pem', 'x25519.pem'] as const) {
    const [plain, sealed] = [join(folder, name), sealedFile(folder, name)];
    if (keepFormer && existsSync(join(from, name))) await copyFile(plain, join(folder, `former.${name}`));
    await replace(join(from, name), plain, sealed);
    await replace(sealedFile(from, name), sealed, plain);
  }
  await syncFolder(folder);
  await rm(from, { recursive: true });
}

/** Moves a file that may not be there into its place; what lay there in the other form is deleted. */
async function replace(from: string, to: string, other: string): Promise<void> {
  if (!existsSync(from)) return;
  await rename(from, to);
  await rm(other, { force: true });
}

/** The parts of a program hold an identity, not its keys: from here on all of them use the new ones. */
export function adoptKeys(identity: Identity, next: Identity): void {
  Object.assign(identity, next);
}
