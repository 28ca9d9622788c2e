/** @file Invitations and members: who may come in, who is in, and the signed list of them. */

import { randomBytes } from 'node:crypto';
import { TributaryError } from '../errors.ts';
import type { Identity } from '../federation/identity.ts';
import { encodeInvitation } from '../federation/invitation.ts';
import type { Join } from '../federation/messages.ts';
import { signRoster } from '../federation/roster.ts';
import type { RosterEntry, SignedRoster } from '../federation/roster.ts';
import type { Store } from './store.ts';

interface InvitationRow {
  readonly id: Buffer;
  readonly secret: Buffer | null;
  readonly site: string | null;
  readonly expires: number;
  readonly used_by: Buffer | null;
}

/** An invitation as it may be shown: without its secret. */
export interface InvitationSummary {
  /** Hexadecimal; the ledger names it too. */
  readonly id: string;
  /** The name that the site must take, where the coordinator chose one. */
  readonly site: string | null;
  /** Unix seconds. */
  readonly expires: number;
  readonly state: 'open' | 'used' | 'expired';
  /** The site that came in with it. */
  readonly usedBy: string | null;
}

export interface Members {
  /** Makes a one-time invitation; `site` is the name the coordinator has chosen already. */
  invite(options: { urls: readonly string[]; seconds: number; site?: string }): string;
  /** All of them, newest first. */
  invitations(): InvitationSummary[];
  /** The secret of an open invitation. Throws `invitation.unknown`, `invitation.used` or `invitation.expired`. */
  lookUpInvitation(id: Uint8Array): Uint8Array;
  /** Uses up an invitation, or recognises a site that repeats its join with the same keys. */
  admit(join: Join, x25519: Uint8Array): RosterEntry;
  /** The site has come back as a member, so it will not repeat its join: its invitation's secret is deleted. */
  confirm(x25519: Uint8Array): void;
  /** Ends a membership. Throws `site.unknown`. */
  revoke(site: string): void;
  lookUp(x25519: Uint8Array): RosterEntry | null;
  find(site: string): RosterEntry | null;
  /** In the order of their names. */
  all(): RosterEntry[];
  roster(): SignedRoster;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const keyText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** `now` gives Unix seconds. */
export function openMembers(store: Store, identity: Identity, now: () => number): Members {
  const { database, ledger } = store;
  const insertInvitation = database.prepare(
    'INSERT INTO invitation (id, secret, site, expires) VALUES (@id, @secret, @site, @expires)',
  );
  const oneInvitation = database.prepare<[Uint8Array], InvitationRow>(
    'SELECT * FROM invitation WHERE id = ?',
  );
  const everyInvitation = database.prepare<[], InvitationRow>('SELECT * FROM invitation ORDER BY rowid DESC');
  const useInvitation = database.prepare('UPDATE invitation SET used_by = ? WHERE id = ?');
  const forgetUsed = database.prepare(
    'UPDATE invitation SET secret = NULL WHERE used_by = ? AND secret IS NOT NULL',
  );
  const forgetExpired = database.prepare('UPDATE invitation SET secret = NULL WHERE expires <= ?');
  const insertMember = database.prepare(
    'INSERT INTO member (site, x25519, ed25519, joined) VALUES (@site, @x25519, @ed25519, @joined)',
  );
  const columns = 'SELECT site, x25519, ed25519, joined, revoked FROM member';
  const bySite = database.prepare<[string], RosterEntry>(`${columns} WHERE site = ?`);
  const byKey = database.prepare<[Uint8Array], RosterEntry>(`${columns} WHERE x25519 = ?`);
  const everyone = database.prepare<[], RosterEntry>(`${columns} ORDER BY site`);
  const setRevoked = database.prepare('UPDATE member SET revoked = ? WHERE site = ?');
  let signed: SignedRoster | undefined;

  const rosterChanged = (): void => {
    store.setSetting('roster-version', String(rosterVersion() + 1));
    signed = undefined;
  };
  const rosterVersion = (): number => Number(store.setting('roster-version') ?? '0');
  const federation = (): string => store.setting('federation') ?? '';

  function openInvitation(id: Uint8Array): InvitationRow {
    const row = oneInvitation.get(id);
    if (row === undefined) {
      throw new TributaryError('invitation.unknown', 'The hub has never made this invitation.');
    }
    return row;
  }

  function requireOpen(row: InvitationRow): void {
    if (row.used_by !== null) {
      throw new TributaryError(
        'invitation.used',
        `The invitation ${hex(row.id).slice(0, 8)} was used already.`,
      );
    }
    if (row.expires <= now() || row.secret === null) {
      const when = new Date(row.expires * 1000).toISOString();
      throw new TributaryError('invitation.expired', `The invitation expired at ${when}.`);
    }
  }

  return {
    invite({ urls, seconds, site }) {
      const id = randomBytes(16);
      const secret = randomBytes(32);
      const expires = now() + Math.round(seconds);
      if (site !== undefined && bySite.get(site) !== undefined) {
        throw new TributaryError('site.name-taken', `${site} is a member already.`);
      }
      store.transition('invite', () => {
        forgetExpired.run(now());
        insertInvitation.run({ id, secret, site: site ?? null, expires });
        ledger.append('invite', { invitation: hex(id), site: site ?? null, expires });
      });
      return encodeInvitation({
        urls: [...urls],
        hubX25519: identity.x25519.publicKey,
        hubEd25519: identity.ed25519.publicKey,
        federation: federation(),
        id,
        secret,
        expires,
        site,
      });
    },

    invitations: () =>
      everyInvitation.all().map(({ id, site, expires, used_by: key }) => ({
        id: hex(id),
        site,
        expires,
        state: key !== null ? 'used' : expires <= now() ? 'expired' : 'open',
        usedBy: key === null ? null : (byKey.get(key)?.site ?? null),
      })),

    lookUpInvitation(id) {
      const row = openInvitation(id);
      // A site that lost the answer repeats its join; whether it is the same one shows in `admit`.
      if (row.used_by !== null && row.secret !== null && row.expires > now()) return row.secret;
      requireOpen(row);
      return row.secret ?? new Uint8Array(0);
    },

    admit(join, x25519) {
      const row = openInvitation(join.invitation);
      if (row.used_by !== null && equal(row.used_by, x25519)) {
        const member = byKey.get(x25519);
        if (member !== undefined && equal(member.ed25519, join.ed25519)) {
          if (member.revoked === null) return member;
          throw new TributaryError('site.revoked', `The membership of ${member.site} was revoked.`);
        }
      }
      requireOpen(row);
      // The coordinator's choice of a name goes before the site's; welcome tells the site its name.
      const site = row.site ?? join.site;
      if (bySite.get(site) !== undefined) {
        throw new TributaryError('site.name-taken', `${site} is a member already.`);
      }
      if (byKey.get(x25519) !== undefined) {
        throw new TributaryError('invitation.used', `The keys of ${site} belong to a member already.`);
      }
      const entry: RosterEntry = { site, x25519, ed25519: join.ed25519, joined: now(), revoked: null };
      store.transition('join', () => {
        useInvitation.run(x25519, row.id);
        insertMember.run({ site, x25519, ed25519: join.ed25519, joined: entry.joined });
        rosterChanged();
        ledger.append('join', {
          site,
          ed25519: keyText(join.ed25519),
          x25519: keyText(x25519),
          invitation: hex(row.id),
        });
      });
      return entry;
    },

    confirm: (x25519) => void forgetUsed.run(x25519),

    revoke(site) {
      const member = bySite.get(site);
      if (member === undefined) {
        throw new TributaryError('site.unknown', `There is no member named ${site}.`);
      }
      if (member.revoked !== null) return;
      store.transition('revoke', () => {
        setRevoked.run(now(), site);
        rosterChanged();
        ledger.append('revoke', { site });
      });
    },

    lookUp: (x25519) => byKey.get(x25519) ?? null,
    find: (site) => bySite.get(site) ?? null,
    all: () => everyone.all(),
    roster() {
      signed ??= signRoster(identity.ed25519, {
        federation: federation(),
        version: rosterVersion(),
        entries: everyone.all(),
      });
      return signed;
    },
  };
}
