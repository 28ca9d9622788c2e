/** @file What the parts of a running site share. */

import type { Logger } from 'pino';
import type { BlobStore } from '../federation/blobs.ts';
import type { Identity } from '../federation/identity.ts';
import type { Message } from '../federation/messages.ts';
import type { SecretStore } from '../secrets.ts';
import type { Vault } from '../vault/vault.ts';
import type { FederationStore } from './federation-store.ts';
import type { Network } from '../network/network.ts';
import type { Policy } from './policy.ts';
import type { SiteStore } from './store.ts';

export interface SiteContext {
  readonly folder: string;
  /** Where its keys are kept. */
  readonly secrets: SecretStore;
  readonly identity: Identity;
  readonly store: SiteStore;
  readonly vault: Vault;
  readonly log: Logger;
  /** The policies in force now, read anew each time: a change counts from the next request on. */
  readonly policies: () => readonly Policy[];
  /** What lies between this machine and hubs. */
  readonly network: Network;
  /** The federations that it is a member of, by their numbers, in the order in which it joined them. */
  readonly federations: Map<number, FederationContext>;
}

/** The site as it is for one of its federations. */
export interface FederationContext extends Omit<SiteContext, 'store' | 'federations'> {
  readonly site: SiteContext;
  readonly number: number;
  /** What the federation is called here. */
  readonly name: string;
  /** The keys that its hub knows; a hub may have entered new ones before another does. */
  readonly identity: Identity;
  readonly store: FederationStore;
  /** Folder of what is this federation's alone. */
  readonly files: string;
  readonly blobs: BlobStore;
}

/** The way to the hub. What cannot be sent now is dropped: the hub asks again when the site is back. */
export interface Outbox {
  /** Passes the gate first. Throws `policy.*`. */
  send(message: Message): void;
}
