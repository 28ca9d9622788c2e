/** @file What lies in a site's folder: keys, database, vault, blobs, policy. */

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { TributaryError } from '../errors.ts';
import { openBlobStore } from '../federation/blobs.ts';
import { openIdentity } from '../federation/identity.ts';
import { settleKeys } from '../federation/rotation.ts';
import { fileSecrets } from '../secrets.ts';
import type { SecretStore } from '../secrets.ts';
import { vaultKey } from '../vault/vault-key.ts';
import { openVault } from '../vault/vault.ts';
import type { SiteContext } from './context.ts';
import { settleDatasets } from './data-ledger.ts';
import { createNetwork } from './network/network.ts';
import type { NetworkSettings } from './network/settings.ts';
import { readPolicy } from './policy.ts';
import { DATABASE_FILE, keyGeneration, openSiteStore } from './store.ts';
import type { SiteCrashPoint } from './store.ts';

export const POLICY_FILE = 'policy.json';

export interface SiteFolderOptions {
  readonly folder: string;
  readonly log: Logger;
  /** A policy of the machine's owner, which the site's own cannot widen. */
  readonly machinePolicy?: string;
  /** Where the keys are kept; files of the folder without it. */
  readonly secrets?: SecretStore;
  /** What lies between this machine and hubs, as it is set now; the environment says it where this is absent. */
  readonly network?: () => NetworkSettings;
  /** Told of every persisted transition; for crash tests. */
  readonly crashPoint?: SiteCrashPoint;
}

/** Opens all of it, making what is not there yet. The caller holds the folder's lock. */
export async function openSiteFolder({
  folder,
  log,
  machinePolicy,
  secrets = fileSecrets(folder),
  network,
  crashPoint,
}: SiteFolderOptions): Promise<SiteContext> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await settleKeys(folder, keyGeneration(folder));
  const identity = await openIdentity(secrets);
  const policyFiles = [join(folder, POLICY_FILE), ...(machinePolicy === undefined ? [] : [machinePolicy])];
  const blobs = await openBlobStore(join(folder, 'blobs'));
  const store = openSiteStore(folder, identity, crashPoint);
  try {
    const path = join(folder, 'vault.sqlite');
    const vault = openVault(path, { key: await vaultKey(secrets, path) });
    settleDatasets({ vault, store });
    const policies = () => policyFiles.map(readPolicy);
    return { folder, secrets, identity, store, vault, blobs, log, policies, network: createNetwork(network) };
  } catch (error) {
    store.close();
    throw error;
  }
}

/** Lets go of the databases. */
export function closeSiteFolder({ store, vault }: SiteContext): void {
  vault.close();
  store.close();
}

/** Throws `site.not-joined` where no site has ever been. */
export function requireSite(folder: string): void {
  if (existsSync(join(folder, DATABASE_FILE))) return;
  throw new TributaryError('site.not-joined', `There is no site in ${folder}.`);
}
