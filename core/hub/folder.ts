/** @file A hub's folder: making it, and opening what lies in it. */

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { acquireFolderLock } from '../control.ts';
import { TributaryError } from '../errors.ts';
import { openBlobStore } from '../federation/blobs.ts';
import { fingerprint, openIdentity, publicIdentity } from '../federation/identity.ts';
import { machine } from '../machine.ts';
import { fileSecrets } from '../secrets.ts';
import type { HubContext, HubEvent, Outbox } from './context.ts';
import { openMembers } from './members.ts';
import { formerIdentity, settleHubKeys } from './rotation.ts';
import { openRunStore } from './run-store.ts';
import { DATABASE_FILE, openStore } from './store.ts';
import type { CrashPoint } from './store.ts';

/** Makes a hub: its keys, its database, the first entry of its ledger. Throws `hub.exists`. */
export async function initHub(options: {
  folder: string;
  name: string;
  /** What invitations carry; without any, the address the hub listens on. */
  urls?: readonly string[];
  /** For crash tests. */
  crashPoint?: CrashPoint;
}): Promise<{ fingerprint: string }> {
  const { folder, name, urls = [] } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = acquireFolderLock(folder);
  try {
    const identity = await openIdentity(fileSecrets(folder));
    const store = openStore(folder, identity, options.crashPoint);
    try {
      if (store.setting('federation') !== null) {
        throw new TributaryError(
          'hub.exists',
          `${folder} is the hub of ${store.setting('federation') ?? ''} already.`,
        );
      }
      const { ed25519, x25519 } = publicIdentity(identity);
      store.transition('init', () => {
        store.setSetting('federation', name);
        store.setSetting('urls', JSON.stringify(urls));
        store.ledger.append('init', {
          role: 'hub',
          federation: name,
          ed25519: Buffer.from(ed25519).toString('base64url'),
          x25519: Buffer.from(x25519).toString('base64url'),
        });
      });
    } finally {
      store.close();
    }
    return { fingerprint: fingerprint(publicIdentity(identity)) };
  } finally {
    lock.release();
  }
}

export interface OpenOptions {
  readonly folder: string;
  readonly outbox: Outbox;
  readonly log: Logger;
  readonly emit?: (event: HubEvent) => void;
  readonly now?: () => number;
  readonly crashPoint?: CrashPoint;
}

/** Opens the parts of a hub; the caller holds the folder's lock. Throws `hub.not-there`. */
export async function openHubFolder(options: OpenOptions): Promise<HubContext> {
  const { folder, outbox, log, emit = () => undefined } = options;
  const now = options.now ?? (() => Math.floor(machine.date() / 1000));
  requireHub(folder);
  await settleHubKeys(folder);
  const identity = await openIdentity(fileSecrets(folder));
  const former = await formerIdentity(folder);
  const store = openStore(folder, identity, options.crashPoint);
  if (store.setting('federation') === null) {
    store.close();
    throw new TributaryError('hub.not-there', `The making of the hub in ${folder} was interrupted.`);
  }
  const members = openMembers(store, identity, now, former);
  const runs = openRunStore(store);
  const blobs = await openBlobStore(join(folder, 'blobs'));
  let last: Promise<unknown> = Promise.resolve();
  return {
    folder,
    identity,
    former,
    store,
    runs,
    members,
    blobs,
    outbox,
    log,
    emit,
    now,
    started: now(),
    keep: new Set(),
    trouble: new Map(),
    rehearsals: new Map(),
    inTurn(work) {
      const turn = last.then(work);
      last = turn.catch(() => undefined); // its caller learns of it; the next one's turn comes all the same
      return turn;
    },
  };
}

/** Throws `hub.not-there`. */
export function requireHub(folder: string): void {
  if (existsSync(join(folder, DATABASE_FILE))) return;
  throw new TributaryError('hub.not-there', `There is no hub in ${folder}.`);
}

const urlsShape = z.array(z.string());

/** Addresses for invitations: those of `hub init --url`, or where the hub listens or will listen. Throws `hub.no-address`. */
export async function invitationUrls({ store }: Pick<HubContext, 'store'>): Promise<string[]> {
  const urls = urlsShape.parse(JSON.parse(store.setting('urls') ?? '[]'));
  if (urls.length > 0) return urls;
  const known = store.setting('url');
  if (known !== null) {
    if (!['0.0.0.0', '[::]'].includes(new URL(known).hostname)) return [known];
    throw new TributaryError(
      'hub.no-address',
      `The hub listens on ${known}, which is no address to come to.`,
    );
  }
  const port = await freePort();
  store.setSetting('port', String(port));
  const url = `ws://127.0.0.1:${port}`;
  store.setSetting('url', url);
  return [url];
}

/** A port that nobody uses now; it is kept from then on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
