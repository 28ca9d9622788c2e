/**
 * @file New keys for this site. They are made and kept before the hub hears of them; the hub enters them when the site
 * next connects under the old ones, which sign the change. A death on either side leaves keys that the hub knows.
 */

import { TributaryError } from '../errors.ts';
import { sign, verify } from '../federation/identity.ts';
import type { Identity } from '../federation/identity.ts';
import type { Message, MessageOf } from '../federation/messages.ts';
import { findMember, verifyRoster } from '../federation/roster.ts';
import type { SignedRoster } from '../federation/roster.ts';
import { adoptKeys, nextIdentity, rotationStatement, settleKeys } from '../federation/rotation.ts';
import { machine, sleep } from '../machine.ts';
import type { Agent } from './agent.ts';
import { connectToHub } from './connect.ts';
import type { Connected } from './connect.ts';
import type { FederationContext, SiteContext } from './context.ts';
import { mayBeUnchecked, passGate } from './policy.ts';
import type { Membership } from './tables.ts';
import { createMeter } from './traffic.ts';

/** How long a hub may take to enter the keys; one of a version before never does. */
const PATIENCE_MILLISECONDS = 20_000;

/** A connection under the keys that count, and what the hub said before it had entered them. */
export interface Entered {
  readonly connected: Connected;
  readonly held: readonly Message[];
}

/** Pins the keys that the hub's former ones, which this site has pinned, say are the hub's. Throws `identity.bad-signature`. */
export function pinHub(
  { store, log }: FederationContext,
  { federation, x25519: from, ed25519: pinned }: Membership,
  { ed25519, x25519, signature, proof }: MessageOf<'hub-keys'>,
): void {
  const statement = rotationStatement({ federation, site: '', from, ed25519, x25519 });
  if (!verify(pinned, statement, signature) || !verify(ed25519, statement, proof)) {
    throw new TributaryError(
      'identity.bad-signature',
      'The new keys of the hub are not signed by both pairs.',
    );
  }
  store.transaction('pin-hub', () => {
    store.pinHub({ ed25519, x25519 });
    store.ledger.append('hub-rotation', { ed25519: keyText(ed25519), x25519: keyText(x25519) });
  });
  log.info('the keys of the hub have changed');
}

/** Makes the keys that are to come; where they wait already, a hub may be entering them at this moment. */
export async function beginRotation({ secrets, store }: SiteContext): Promise<void> {
  const { generation, pending } = store.keys();
  if (pending) return;
  await nextIdentity(secrets, generation + 1);
  store.transaction('begin-rotation', () => store.beginRotation());
}

/**
 * Connects with the keys that the hub knows, and has it enter those that wait for that. `connect` opens a control
 * socket with the keys it is given.
 */
export async function connectWithKeys(
  context: FederationContext,
  membership: Membership,
  connect: (identity: Identity) => Promise<Connected>,
): Promise<Entered> {
  const { secrets, identity, store } = context;
  const { generation, pending } = store.keys();
  if (!pending) return { connected: await connect(identity), held: [] };
  const next = await nextIdentity(secrets, generation + 1);
  let connected: Connected;
  try {
    connected = await connect(identity);
  } catch (error) {
    if (!(error instanceof TributaryError) || error.code !== 'site.unknown') throw error;
    // The hub may have entered the new ones, and this site died before it heard of it.
    connected = await connect(next);
    await adopt(context, next);
    return { connected, held: [] };
  }
  const request = requestOf(membership, identity, next);
  passGate(context.policies(), { kind: 'message', message: request });
  const { held, roster } = await exchange(connected, request).catch((thrown: unknown) => {
    connected.channel.close();
    throw thrown;
  });
  if (roster === null) {
    context.log.warn('the hub does not enter new keys; it may be of a version before');
    return { connected, held };
  }
  verifyRoster(roster, membership.ed25519, connected.welcome.roster.version);
  if (findMember(roster, next.x25519.publicKey)?.site !== membership.site) {
    throw new TributaryError('roster.bad-signature', 'The hub’s list of members does not hold the new keys.');
  }
  await adopt(context, next);
  return { connected: { ...connected, welcome: { ...connected.welcome, roster } }, held };
}

function requestOf({ federation, site }: Membership, identity: Identity, next: Identity): Message {
  const keys = { ed25519: next.ed25519.publicKey, x25519: next.x25519.publicKey };
  const statement = rotationStatement({ federation, site, from: identity.x25519.publicKey, ...keys });
  const [signature, proof] = [sign(identity.ed25519, statement), sign(next.ed25519, statement)];
  return { type: 'rotate-keys', ...keys, signature, proof };
}

/** What the hub says up to its answer, and the roster with which it answers; null where it does not. */
async function exchange(
  { channel }: Connected,
  request: Message,
): Promise<{ held: Message[]; roster: SignedRoster | null }> {
  const patience = new AbortController();
  const late = sleep(PATIENCE_MILLISECONDS, patience.signal).then(
    () => null,
    () => null,
  );
  channel.send(request);
  try {
    for (const held: Message[] = []; ;) {
      const message = await Promise.race([channel.receive(), late]);
      if (message === null) return { held, roster: null };
      if (message.type === 'keys-rotated') return { held, roster: message.roster };
      held.push(message);
    }
  } finally {
    patience.abort();
  }
}

/** For this hub the new keys count from here on; once every hub has entered them, the old ones are deleted. */
async function adopt({ site, identity, store, log }: FederationContext, next: Identity): Promise<void> {
  const isComplete = store.transaction('rotate-keys', () => {
    store.enterKeys();
    if (site.store.haveAllEntered()) succeed(site, next);
    else store.ledger.append('member-rotation', publicKeys(next));
    return !site.store.keys().pending;
  });
  adoptKeys(identity, next);
  log.info('the hub has entered the new keys of this site');
  if (isComplete) await settle(site, next);
}

/** The same where every hub has entered the new keys and nothing has come of that yet. */
export async function completeRotation(site: SiteContext): Promise<void> {
  const { secrets, store } = site;
  if (!store.haveAllEntered()) return;
  const next = await nextIdentity(secrets, store.keys().generation + 1);
  store.transaction('rotate-keys', () => succeed(site, next));
  await settle(site, next);
}

function succeed({ store }: SiteContext, next: Identity): void {
  store.ledger.rotate(next, { x25519: publicKeys(next).x25519 });
  store.completeRotation();
}

async function settle({ folder, identity, store, log }: SiteContext, next: Identity): Promise<void> {
  adoptKeys(identity, next);
  await settleKeys(folder, store.keys().generation);
  log.info('the keys of this site were changed');
}

const publicKeys = ({ ed25519, x25519 }: Identity): { ed25519: string; x25519: string } => ({
  ed25519: keyText(ed25519.publicKey),
  x25519: keyText(x25519.publicKey),
});

function keyText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

/** The same for a site that is not running: connects once. */
export async function rotateAlone(context: FederationContext, software: string): Promise<void> {
  const { store, network, policies } = context;
  const membership = store.membership();
  if (membership === null) return;
  const { urls, x25519: hubX25519 } = membership;
  const meter = createMeter(store);
  const connect = (identity: Identity): Promise<Connected> =>
    connectToHub({
      ...{ urls, role: 'control', software, identity, hubX25519, meter, network },
      mayBeUnchecked: () => mayBeUnchecked(policies()),
    });
  const { connected } = await connectWithKeys(context, membership, connect).finally(meter.flush);
  connected.channel.close();
  meter.flush();
}

/** The same for a running site: connects anew, and waits a moment for the hub where it is there. */
export async function rotateRunning({ store }: FederationContext, agent: Agent): Promise<void> {
  const isThere = agent.connection().connected;
  agent.renewConnection();
  const end = machine.now() + PATIENCE_MILLISECONDS;
  while (isThere && store.keys().pending && machine.now() < end) await sleep(50);
}
