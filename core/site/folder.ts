/** @file What lies in a site's folder: keys, database, vault, blobs, policy. */

import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { TributaryError } from '../errors.ts';
import { openBlobStore } from '../federation/blobs.ts';
import { openIdentity } from '../federation/identity.ts';
import { nextIdentity, settleKeys } from '../federation/rotation.ts';
import { fileSecrets } from '../secrets.ts';
import type { SecretStore } from '../secrets.ts';
import { vaultKey } from '../vault/vault-key.ts';
import { openVault } from '../vault/vault.ts';
import type { FederationContext, SiteContext } from './context.ts';
import { settleDatasets } from './data-ledger.ts';
import { createNetwork } from '../network/network.ts';
import type { NetworkSettings } from '../network/settings.ts';
import { readPolicy } from './policy.ts';
import { completeRotation } from './rotation.ts';
import { DATABASE_FILE, keyGeneration, openSiteStore } from './store.ts';
import type { SiteCrashPoint } from './store.ts';
import type { Membership } from './tables.ts';

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
  const store = openSiteStore(folder, identity, crashPoint);
  try {
    const path = join(folder, 'vault.sqlite');
    const vault = openVault(path, { key: await vaultKey(secrets, path) });
    settleDatasets({ vault, store });
    const policies = () => policyFiles.map(readPolicy);
    const site: SiteContext = {
      ...{ folder, secrets, identity, store, vault, log, policies },
      network: createNetwork(network),
      federations: new Map(),
    };
    await completeRotation(site);
    for (const number of store.left()) await removeFiles(folder, number);
    for (const membership of store.memberships()) await openFederation(site, membership);
    return site;
  } catch (error) {
    store.close();
    throw error;
  }
}

/** Opens what lies in the folder of one federation and has the site know it. */
export async function openFederation(
  site: SiteContext,
  { number, name }: Membership,
): Promise<FederationContext> {
  const { folder, secrets, vault, policies, network } = site;
  const store = site.store.federation({ number, name });
  const { generation, pending } = site.store.keys();
  const hasNewKeys = pending && !store.keys().pending;
  const files = filesOf(folder, number);
  const context: FederationContext = {
    ...{ site, number, name, folder, files, secrets, store, vault, policies, network },
    identity: hasNewKeys ? await nextIdentity(secrets, generation + 1) : { ...site.identity },
    log: site.log.child({ federation: name }),
    blobs: await openBlobStore(join(files, 'blobs')),
  };
  site.federations.set(number, context);
  return context;
}

/** Leaves a federation: its runs and approvals are forgotten, and what only they needed is deleted. */
export async function leaveFederation({ site, number, name, store }: FederationContext): Promise<void> {
  store.transaction('leave', () => store.leave());
  site.federations.delete(number);
  await completeRotation(site);
  await removeFiles(site.folder, number);
  site.log.info({ federation: name }, 'left');
}

/** Where a federation's blobs and checkpoints lie; those of the first lie where they did when there could be one alone. */
function filesOf(folder: string, number: number): string {
  return number === 1 ? folder : join(folder, 'federations', String(number));
}

/** Removes them; a program that died while a site left a federation has not. */
async function removeFiles(folder: string, number: number): Promise<void> {
  for (const name of ['blobs', 'checkpoints'])
    await rm(join(filesOf(folder, number), name), { recursive: true, force: true });
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
