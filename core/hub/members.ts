/** @file Invitations and members: who may come in, who is in, and the signed list of them. */

import { randomBytes } from 'node:crypto';
import { TributaryError } from '../errors.ts';
import type { Identity } from '../federation/identity.ts';
import { encodeInvitation } from '../federation/invitation.ts';
import { verify } from '../federation/identity.ts';
import type { Join, MessageOf } from '../federation/messages.ts';
import { rotationStatement } from '../federation/rotation.ts';
import { signRoster } from '../federation/roster.ts';
import type { RosterEntry, SignedRoster } from '../federation/roster.ts';
import type { Store } from './store.ts';

interface InvitationRow {
  readonly id: Buffer;
  readonly secret: Buffer | null;
  readonly site: string | null;
  readonly expires: number;
  readonly used_by: Buffer | null;
  /** 1 where another device is to take the place of the site's. */
  readonly replaces: number;
}

/** An invitation as it may be shown: without its secret. */
export interface InvitationSummary {
  /** Hexadecimal; the ledger names it too. */
  readonly id: string;
  /** The name that the site must take, where the coordinator chose one. */
  readonly site: string | null;
  /** Whether another device is to take the place of the site's. */
  readonly replaces: boolean;
  /** Unix seconds. */
  readonly expires: number;
  readonly state: 'open' | 'used' | 'expired';
  /** The site that came in with it. */
  readonly usedBy: string | null;
}

export interface Members {
  /**
   * Makes a one-time invitation; `site` is the name the coordinator has chosen already. With `replace` another device
   * takes the place of that member's, whose keys are worth nothing from then on.
   */
  invite(options: { urls: readonly string[]; seconds: number; site?: string; replace?: boolean }): string;
  /** All of them, newest first. */
  invitations(): InvitationSummary[];
  /** The secret of an open invitation. Throws `invitation.unknown`, `invitation.used` or `invitation.expired`. */
  lookUpInvitation(id: Uint8Array): Uint8Array;
  /** Enters other keys of a member, which those before and the new ones have signed. Throws `identity.bad-signature`. */
  rotate(
    site: string,
    change: Pick<MessageOf<'rotate-keys'>, 'ed25519' | 'x25519' | 'signature' | 'proof'>,
  ): void;
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
  /** Signed with the hub's keys, or with those before. */
  roster(isFormer?: boolean): SignedRoster;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const keyText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** `now` gives Unix seconds. */
export function openMembers(
  store: Store,
  identity: Identity,
  now: () => number,
  former: Identity | null = null,
): Members {
  const { database, ledger } = store;
  const insertInvitation = database.prepare(
    `INSERT INTO invitation (id, secret, site, expires, replaces)
     VALUES (@id, @secret, @site, @expires, @replaces)`,
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
  const setKeys = database.prepare(
    'UPDATE member SET x25519 = @x25519, ed25519 = @ed25519 WHERE site = @site',
  );
  const comeBack = database.prepare('UPDATE member SET joined = @joined, revoked = NULL WHERE site = @site');
  const putReplaced = database.prepare('INSERT INTO replaced_key VALUES (@x25519, @site, @ended)');
  const replaced = database.prepare<[Uint8Array], RosterEntry>(
    `SELECT site, replaced_key.x25519, ed25519, joined, ended AS revoked
     FROM replaced_key JOIN member USING (site) WHERE replaced_key.x25519 = ?`,
  );
  // Another device has to approve for itself; what the one before has sent stays in its rounds.
  const forgetAnswers = ['answer', 'amendment_answer'].map((table) =>
    database.prepare(
      `DELETE FROM ${table} WHERE site = ? AND run IN (
         SELECT id FROM run WHERE state IN ('proposed', 'running'))`,
    ),
  );
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
    invite({ urls, seconds, site, replace = false }) {
      const id = randomBytes(16);
      const secret = randomBytes(32);
      const expires = now() + Math.round(seconds);
      const known = site === undefined ? undefined : bySite.get(site);
      if (replace && known === undefined) {
        throw new TributaryError('site.unknown', `There is no member named ${site ?? '…'} to be replaced.`);
      }
      if (!replace && known !== undefined) {
        throw new TributaryError('site.name-taken', `${site} is a member already.`);
      }
      store.transition('invite', () => {
        forgetExpired.run(now());
        insertInvitation.run({ id, secret, site: site ?? null, expires, replaces: replace ? 1 : 0 });
        ledger.append('invite', {
          ...{ invitation: hex(id), site: site ?? null, expires },
          ...(replace && { replaces: keyText(known?.x25519 ?? new Uint8Array(0)) }),
        });
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
      everyInvitation.all().map(({ id, site, replaces, expires, used_by: key }) => ({
        id: hex(id),
        site,
        replaces: replaces === 1,
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
      const before = bySite.get(site);
      if (before !== undefined && row.replaces !== 1) {
        throw new TributaryError('site.name-taken', `${site} is a member already.`);
      }
      if (byKey.get(x25519) !== undefined || replaced.get(x25519) !== undefined) {
        throw new TributaryError('invitation.used', `The keys of ${site} belong to a member already.`);
      }
      const entry: RosterEntry = { site, x25519, ed25519: join.ed25519, joined: now(), revoked: null };
      store.transition(before === undefined ? 'join' : 'replace', () => {
        useInvitation.run(x25519, row.id);
        if (before === undefined) {
          insertMember.run({ site, x25519, ed25519: join.ed25519, joined: entry.joined });
        } else {
          putReplaced.run({ x25519: before.x25519, site, ended: entry.joined });
          setKeys.run({ site, x25519, ed25519: join.ed25519 });
          comeBack.run({ site, joined: entry.joined });
          for (const forget of forgetAnswers) forget.run(site);
        }
        rosterChanged();
        ledger.append('join', {
          site,
          ed25519: keyText(join.ed25519),
          x25519: keyText(x25519),
          invitation: hex(row.id),
          ...(before !== undefined && { replaces: keyText(before.x25519) }),
        });
      });
      return entry;
    },

    rotate(site, { ed25519, x25519, signature, proof }) {
      const member = bySite.get(site);
      if (member === undefined) throw new TributaryError('site.unknown', `There is no member named ${site}.`);
      const change = { federation: federation(), site, from: member.x25519, ed25519, x25519 };
      const statement = rotationStatement(change);
      if (!verify(member.ed25519, statement, signature) || !verify(ed25519, statement, proof)) {
        throw new TributaryError(
          'identity.bad-signature',
          `The new keys of ${site} are not signed by both pairs.`,
        );
      }
      if (byKey.get(x25519) !== undefined || replaced.get(x25519) !== undefined) {
        throw new TributaryError('identity.bad-signature', `The new keys of ${site} were in use before.`);
      }
      store.transition('rotate-member', () => {
        setKeys.run({ site, x25519, ed25519 });
        rosterChanged();
        ledger.append('member-rotation', {
          ...{ site, federation: change.federation, signature: keyText(signature) },
          ...{ from: keyText(member.x25519), ed25519: keyText(ed25519), x25519: keyText(x25519) },
        });
      });
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

    lookUp: (x25519) => byKey.get(x25519) ?? replaced.get(x25519) ?? null,
    find: (site) => bySite.get(site) ?? null,
    all: () => everyone.all(),
    roster(isFormer = false) {
      const signWith = ({ ed25519 }: Identity): SignedRoster =>
        signRoster(ed25519, {
          federation: federation(),
          version: rosterVersion(),
          entries: everyone.all(),
        });
      if (isFormer && former !== null) return signWith(former);
      signed ??= signWith(identity);
      return signed;
    },
  };
}
