/** @file Joining a federation: from a pasted invitation to a pinned hub. */

import { TributaryError } from '../errors.ts';
import { fingerprint } from '../federation/identity.ts';
import { parseInvitation, requireUnexpired } from '../federation/invitation.ts';
import type { Invitation } from '../federation/invitation.ts';
import { siteNameShape } from '../federation/shapes.ts';
import { findMember, verifyRoster } from '../federation/roster.ts';
import { connectToHub } from './connect.ts';
import type { Connected, ConnectOptions } from './connect.ts';
import type { SiteContext } from './context.ts';
import { mayBeUnchecked } from './policy.ts';
import { createMeter } from './traffic.ts';
import type { Meter } from './traffic.ts';

export type Joined = {
  /** What it is called here. */
  readonly federation: string;
  readonly site: string;
  /** Of the hub, to compare with what the coordinator reads out. */
  readonly fingerprint: string;
};

export interface JoinOptions {
  readonly context: Pick<SiteContext, 'identity' | 'store' | 'network' | 'policies' | 'federations'>;
  /** The pasted line. */
  readonly invitation: string;
  /** What the site is to be called, where the invitation does not say it. */
  readonly name?: string;
  readonly software: string;
}

/**
 * Proves the invitation's secret to its hub, checks the roster that it answers with and pins its keys. A join
 * whose answer was lost may be repeated. Throws `invitation.*`, `hub.*`, `roster.*`, `site.*`.
 */
export async function joinFederation(options: JoinOptions): Promise<Joined> {
  const { store, federations } = options.context;
  const invitation = parseInvitation(options.invitation);
  const hub = { ed25519: invitation.hubEd25519, x25519: invitation.hubX25519 };
  const known = store.knownHub(hub.ed25519);
  const present = known === null ? undefined : federations.get(known.number);
  // A member that joins again shows the keys that this hub knows.
  const identity = present?.identity ?? options.context.identity;
  const meter = createMeter(present?.store ?? store);
  const name = nameOf(options, invitation);
  const context = { ...options.context, identity };
  const { channel, welcome } = await enter({ ...options, context, meter }, invitation, name).finally(
    meter.flush,
  );
  channel.close();
  meter.flush();
  verifyRoster(welcome.roster, hub.ed25519, present && known?.roster_version);
  const entry = findMember(welcome.roster, identity.x25519.publicKey);
  if (entry?.site !== welcome.site || welcome.federation !== invitation.federation) {
    throw new TributaryError('roster.bad-signature', 'The hub’s list of members does not hold this site.');
  }
  const { federation, site, roster } = welcome;
  const joined = store.transaction('join', () => {
    const { urls } = invitation;
    const membership = store.join({ federation, site, urls, ...hub, roster_version: roster.version });
    store.ledger.append('join', {
      federation: membership.name,
      site,
      hubEd25519: text(hub.ed25519),
      hubX25519: text(hub.x25519),
    });
    return membership;
  });
  return { federation: joined.name, site, fingerprint: fingerprint(hub) };
}

/** Joins, or returns as a member where an earlier join had succeeded without this site hearing of it. */
async function enter(
  options: JoinOptions & { readonly meter: Meter },
  invitation: Invitation,
  site: string,
): Promise<Connected> {
  const { id, secret, urls, hubX25519 } = invitation;
  const { software, meter } = options;
  const { identity, network, policies } = options.context;
  const base: ConnectOptions = {
    ...{ urls, role: 'control', software, identity, hubX25519, meter, network },
    mayBeUnchecked: () => mayBeUnchecked(policies()),
  };
  try {
    requireUnexpired(invitation, Date.now() / 1000);
    return await connectToHub({ ...base, join: { id, secret, site } });
  } catch (error) {
    if (!(error instanceof TributaryError) || !/^invitation\.(used|expired)$/.test(error.code)) throw error;
    try {
      return await connectToHub(base);
    } catch {
      throw error;
    }
  }
}

function nameOf({ name }: JoinOptions, { site }: Invitation): string {
  if (site !== undefined && name !== undefined && name !== site) {
    throw new TributaryError('site.name-given', `The invitation is for ${site}, not for ${name}.`);
  }
  const chosen = site ?? name;
  if (chosen === undefined) throw new TributaryError('site.no-name', 'The invitation leaves the name open.');
  const parsed = siteNameShape.safeParse(chosen.normalize('NFC').trim());
  if (parsed.success) return parsed.data;
  throw new TributaryError(
    'usage.invalid',
    `“${chosen}” cannot name a site: letters, digits, blanks, dots, dashes and underscores, 64 at most.`,
  );
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
