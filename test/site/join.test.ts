/** @file Joining a federation, with good and bad invitations, hubs and names. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fingerprint, generateIdentity, publicIdentity } from '../../core/federation/identity.ts';
import { encodeInvitation } from '../../core/federation/invitation.ts';
import type { Invitation } from '../../core/federation/invitation.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { signRoster } from '../../core/federation/roster.ts';
import { askSite } from '../../core/site/ask.ts';
import { openTestHub } from '../helpers/hub.ts';
import type { TestHub } from '../helpers/hub.ts';

const software = 'tributary test';
let folder: string;
let hub: TestHub;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-join-'));
  hub = await openTestHub();
});
afterEach(async () => {
  await hub.listener.close();
  rmSync(folder, { recursive: true });
});

const joinWith = (invitation: Invitation | string, name?: string, at = folder): Promise<unknown> =>
  askSite({ folder: at, software }, 'join', {
    invitation: typeof invitation === 'string' ? invitation : encodeInvitation(invitation),
    name,
  });
const status = () => askSite({ folder, software }, 'status', {});
const code = (expected: string) => ({ code: expected });

describe('joining', () => {
  it('pins the hub and tells the fingerprint to compare', async () => {
    const joined = await joinWith(hub.invite(), 'clinic-a');
    const expected = fingerprint(publicIdentity(hub.identity));
    expect(joined).toEqual({ federation: 'clinics', site: 'clinic-a', fingerprint: expected });
    expect(await status()).toMatchObject({ state: 'stopped', federation: 'clinics', site: 'clinic-a' });
    expect(await verifyLedger(folder)).toMatchObject({ verified: true, entries: 2 });
  });

  it('writes no secret of the invitation anywhere', async () => {
    const invitation = hub.invite();
    await joinWith(invitation, 'clinic-a');
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
    for (const { name } of files) {
      expect(readFileSync(join(folder, name)).includes(Buffer.from(invitation.secret))).toBe(false);
    }
  });

  it('takes the name that the invitation gives, and no other', async () => {
    const invitation = hub.invite({ site: 'Klinik Süd' });
    await expect(joinWith(invitation, 'clinic-a')).rejects.toMatchObject(code('site.name-given'));
    expect(await joinWith(invitation)).toMatchObject({ site: 'Klinik Süd' });
  });

  it.each([
    [undefined, 'site.no-name'],
    ['../../etc', 'usage.invalid'],
    ['', 'usage.invalid'],
    ['x'.repeat(65), 'usage.invalid'],
  ])('under the name %j is refused with %s', async (name, expected) => {
    await expect(joinWith(hub.invite(), name)).rejects.toMatchObject(code(expected));
  });

  it('may be repeated by the same site, whose answer was lost, and by no other', async () => {
    const invitation = hub.invite();
    await joinWith(invitation, 'clinic-a');
    expect(await joinWith(invitation, 'clinic-a')).toMatchObject({ site: 'clinic-a' });
    expect(hub.members).toHaveLength(1);
    await expect(joinWith(invitation, 'clinic-b', join(folder, 'other'))).rejects.toMatchObject(
      code('invitation.used'),
    );
  });

  it('needs an invitation that is whole and valid', async () => {
    const line = encodeInvitation(hub.invite());
    await expect(joinWith(line.slice(0, -4), 'clinic-a')).rejects.toMatchObject(code('invitation.garbled'));
    await expect(joinWith(hub.invite({ expires: 1000 }), 'clinic-a')).rejects.toMatchObject(
      code('invitation.expired'),
    );
    expect(hub.members).toEqual([]);
  });

  it('says which address does not answer', async () => {
    const invitation = hub.invite({ urls: ['ws://127.0.0.1:9'] });
    await expect(joinWith(invitation, 'clinic-a')).rejects.toMatchObject(code('hub.unreachable'));
    await expect(joinWith(invitation, 'clinic-a')).rejects.toThrow('ws://127.0.0.1:9');
  });

  it('believes neither a hub with another key nor a list it did not sign', async () => {
    const stranger = publicIdentity(generateIdentity());
    await expect(joinWith(hub.invite({ hubX25519: stranger.x25519 }), 'clinic-a')).rejects.toMatchObject(
      code('hub.wrong-key'),
    );
    await expect(joinWith(hub.invite({ hubEd25519: stranger.ed25519 }), 'clinic-a')).rejects.toMatchObject(
      code('roster.bad-signature'),
    );
    expect(await status()).toMatchObject({ state: 'not-joined' });
  });

  it('believes no list of members without this site', async () => {
    const { identity } = hub;
    await hub.listener.close();
    const empty = signRoster(identity.ed25519, { federation: 'clinics', version: 1, entries: [] });
    hub = await openTestHub({ roster: () => empty }, identity);
    await expect(joinWith(hub.invite(), 'clinic-a')).rejects.toMatchObject(code('roster.bad-signature'));
  });

  it('adds a second federation to the first, and asks which one is to be left', async () => {
    await joinWith(hub.invite(), 'clinic-a');
    const other = await openTestHub();
    const ask = { folder, software };
    try {
      expect(await joinWith(other.invite(), 'klinik')).toMatchObject({ federation: 'clinics (2)' });
      const { federations, ...first } = await status();
      expect(federations).toMatchObject([
        { federation: 'clinics', site: 'clinic-a', number: 1 },
        { federation: 'clinics (2)', site: 'klinik', number: 2 },
      ]);
      expect(first).toMatchObject({ state: 'stopped', federation: 'clinics' });
      expect(await askSite(ask, 'status', { federation: 'clinics (2)' })).toMatchObject({ site: 'klinik' });
      const several = 'This site is a member of several federations: clinics, clinics (2).';
      await expect(askSite(ask, 'leave', {})).rejects.toMatchObject({
        ...code('site.several-federations'),
        message: several,
      });
      await expect(askSite(ask, 'leave', { federation: 'banks' })).rejects.toMatchObject(
        code('site.unknown-federation'),
      );
      expect(await askSite(ask, 'leave', { federation: 'clinics' })).toEqual({ federation: 'clinics' });
      expect(await status()).toMatchObject({ federation: 'clinics (2)', site: 'klinik' });
      expect(await askSite(ask, 'leave', {})).toEqual({ federation: 'clinics (2)' });
      expect(await status()).toMatchObject({ state: 'not-joined', federations: [] });
      expect(await verifyLedger(folder)).toMatchObject({ verified: true, entries: 3 });
    } finally {
      await other.listener.close();
    }
  });

  it('is asked for before anything else', async () => {
    const nowhere = join(folder, 'nowhere');
    await expect(askSite({ folder: nowhere, software }, 'status', {})).rejects.toMatchObject(
      code('site.not-joined'),
    );
    expect(readdirSync(folder)).toEqual([]);
  });
});
