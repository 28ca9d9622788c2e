/** @file A hub's door on a free port with members in memory, for tests of the wire. */

import { TributaryError } from '../../core/errors.ts';
import { generateIdentity, publicIdentity } from '../../core/federation/identity.ts';
import type { Identity } from '../../core/federation/identity.ts';
import type { Invitation } from '../../core/federation/invitation.ts';
import { findMember, signRoster } from '../../core/federation/roster.ts';
import type { RosterEntry, SignedRoster } from '../../core/federation/roster.ts';
import { listen } from '../../core/hub/listener.ts';
import type { Listener, ListenerOptions, Peer } from '../../core/hub/listener.ts';

export interface TestHub {
  readonly identity: Identity;
  readonly listener: Listener;
  readonly members: RosterEntry[];
  /** Codes of refused connections, in order. */
  readonly refused: string[];
  /** Sites that have arrived, by socket. */
  readonly control: Peer[];
  readonly bulk: Peer[];
  invite(changes?: Partial<Invitation>): Invitation;
  /** Enters a site without an invitation. */
  enrol(site: string, identity: Identity): void;
  roster(): SignedRoster;
}

/** Opens the door; close it with `hub.listener.close()`. */
export async function openTestHub(
  changes: Partial<ListenerOptions> = {},
  identity = generateIdentity(),
): Promise<TestHub> {
  const members: RosterEntry[] = [];
  const invitations = new Map<string, Uint8Array>();
  const [refused, control, bulk]: [string[], Peer[], Peer[]] = [[], [], []];
  const roster = (): SignedRoster =>
    signRoster(identity.ed25519, { federation: 'clinics', version: members.length, entries: members });
  const keyOf = (id: Uint8Array): string => Buffer.from(id).toString('hex');

  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    keys: identity.x25519,
    federation: 'clinics',
    heartbeatSeconds: 5,
    roster,
    lookUpInvitation: (id) => {
      const secret = invitations.get(keyOf(id));
      if (secret === undefined) throw new TributaryError('invitation.used', 'This invitation was used.');
      return secret;
    },
    admit: (join, x25519) => {
      invitations.delete(keyOf(join.invitation));
      const entry = { site: join.site, x25519, ed25519: join.ed25519, joined: 1, revoked: null };
      members.push(entry);
      return entry;
    },
    lookUpMember: (x25519) => findMember(roster(), x25519) ?? null,
    onControl: (peer) => control.push(peer),
    onBulk: (peer) => bulk.push(peer),
    onRefused: (reason) => refused.push(reason.code),
    ...changes,
  });

  return {
    identity,
    listener,
    members,
    refused,
    control,
    bulk,
    roster,
    invite: (invitationChanges = {}) => {
      const id = crypto.getRandomValues(new Uint8Array(16));
      const secret = crypto.getRandomValues(new Uint8Array(32));
      invitations.set(keyOf(id), secret);
      return {
        urls: [listener.url],
        hubX25519: identity.x25519.publicKey,
        hubEd25519: identity.ed25519.publicKey,
        federation: 'clinics',
        id,
        secret,
        expires: 4_000_000_000,
        ...invitationChanges,
      };
    },
    enrol: (site, owner) => {
      members.push({ site, ...publicIdentity(owner), joined: 1, revoked: null });
    },
  };
}
