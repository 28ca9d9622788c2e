/** @file Joining: one invitation admits one site, once, and a lost answer does no harm. */

import { afterEach, describe, expect, it } from 'vitest';
import { generateIdentity } from '../../core/federation/identity.ts';
import type { Identity } from '../../core/federation/identity.ts';
import { parseInvitation } from '../../core/federation/invitation.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { verifyRoster } from '../../core/federation/roster.ts';
import { connectToHub } from '../../core/site/connect.ts';
import type { Connected } from '../../core/site/connect.ts';
import { cleanUp, createFederation, joinSite, openFederation } from '../helpers/federation.ts';

afterEach(cleanUp);

const open: Connected[] = [];
afterEach(() => {
  for (const { channel } of open.splice(0)) channel.close();
});

/** Presents an invitation under a name, as a site does. */
async function present(text: string, site: string, identity: Identity): Promise<Connected> {
  const { urls, hubX25519, id, secret } = parseInvitation(text);
  const join = { id, secret, site };
  const connected = await connectToHub({
    urls,
    hubX25519,
    identity,
    role: 'control',
    software: 'test',
    join,
  });
  open.push(connected);
  return connected;
}

async function comeBack(text: string, identity: Identity): Promise<Connected> {
  const { urls, hubX25519 } = parseInvitation(text);
  const connected = await connectToHub({ urls, hubX25519, identity, role: 'control', software: 'test' });
  open.push(connected);
  return connected;
}

describe('an invitation', () => {
  it('makes a member, who appears in the signed roster', async () => {
    const federation = await createFederation();
    const text = await federation.invite();
    const { welcome } = await present(text, 'north', generateIdentity());
    expect(welcome.roster.entries.map(({ site }) => site)).toEqual(['north']);
    verifyRoster(welcome.roster, parseInvitation(text).hubEd25519);
    expect((await federation.hub.ask('sites', {})).sites).toMatchObject([{ name: 'north', revoked: null }]);
  });

  it('admits the first of two sites', async () => {
    const federation = await createFederation();
    const text = await federation.invite();
    await present(text, 'north', generateIdentity());
    await expect(present(text, 'south', generateIdentity())).rejects.toMatchObject({
      code: 'invitation.used',
    });
    expect((await federation.hub.ask('sites', {})).sites).toHaveLength(1);
  });

  it('admits exactly one of two sites that come at the same time', async () => {
    const federation = await createFederation();
    const text = await federation.invite();
    const results = await Promise.allSettled([
      present(text, 'north', generateIdentity()),
      present(text, 'south', generateIdentity()),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect((await federation.hub.ask('sites', {})).sites).toHaveLength(1);
  });

  it('may be presented again with the same keys, which changes nothing', async () => {
    const federation = await createFederation();
    const text = await federation.invite();
    const identity = generateIdentity();
    await present(text, 'north', identity);
    const { welcome } = await present(text, 'north', identity);
    expect(welcome.roster.version).toBe(1);
    expect(federation.events.filter(({ type }) => type === 'joined')).toHaveLength(1);
  });

  it('is used up for good once the site has come back as a member', async () => {
    const federation = await createFederation();
    const text = await federation.invite();
    const identity = generateIdentity();
    await present(text, 'north', identity);
    await comeBack(text, identity);
    await expect(present(text, 'north', identity)).rejects.toMatchObject({ code: 'invitation.used' });
  });

  it('expires', async () => {
    let now = 1_800_000_000;
    const federation = await createFederation({ now: () => now });
    const { invitation, expires } = await federation.hub.ask('invite', { seconds: 60 });
    expect(expires).toBe(now + 60);
    now += 61;
    await expect(present(invitation, 'north', generateIdentity())).rejects.toMatchObject({
      code: 'invitation.expired',
    });
  });

  it('of another hub is unknown here', async () => {
    const federation = await createFederation();
    const invitation = parseInvitation(await federation.invite());
    const { urls, hubX25519, secret } = invitation;
    const join = { id: new Uint8Array(16), secret, site: 'north' };
    const identity = generateIdentity();
    await expect(
      connectToHub({ urls, hubX25519, identity, role: 'control', software: 'test', join }),
    ).rejects.toMatchObject({ code: 'invitation.unknown' });
  });

  it('gives the name that the coordinator has chosen', async () => {
    const federation = await createFederation();
    const { welcome } = await present(
      await federation.invite('Clinic North'),
      'my laptop',
      generateIdentity(),
    );
    expect(welcome.site).toBe('Clinic North');
  });

  it('does not take a name that is taken', async () => {
    const federation = await createFederation();
    const [first, second] = [await federation.invite(), await federation.invite()];
    await present(first, 'north', generateIdentity());
    await expect(present(second, 'north', generateIdentity())).rejects.toMatchObject({
      code: 'site.name-taken',
    });
    await expect(federation.invite('north')).rejects.toMatchObject({ code: 'site.name-taken' });
    // The invitation is still good for another name.
    await present(second, 'south', generateIdentity());
  });

  it('does not work with a wrong secret', async () => {
    const federation = await createFederation();
    const { urls, hubX25519, id } = parseInvitation(await federation.invite());
    const join = { id, secret: new Uint8Array(32), site: 'north' };
    const identity = generateIdentity();
    await expect(
      connectToHub({ urls, hubX25519, identity, role: 'control', software: 'test', join }),
    ).rejects.toMatchObject({ code: 'hub.wrong-key' });
    expect((await federation.hub.ask('sites', {})).sites).toEqual([]);
  });
});

describe('membership', () => {
  it('survives a restart of the hub', async () => {
    const federation = await createFederation();
    const text = await federation.invite();
    const identity = generateIdentity();
    await present(text, 'north', identity);
    await federation.hub.stop();
    const again = await openFederation(federation.folder);
    expect(again.hub.url).toBe(federation.hub.url);
    expect((await comeBack(text, identity)).welcome.site).toBe('north');
  });

  it('ends with revocation: the site is cut off and not let in again', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north');
    const channel = north.control();
    await federation.hub.ask('revoke', { site: 'north' });
    expect(await channel.closed).toMatchObject({ code: 'site.revoked' });
    const { urls, hubX25519 } = parseInvitation(await federation.invite());
    await expect(
      connectToHub({ urls, hubX25519, identity: north.identity, role: 'control', software: 'test' }),
    ).rejects.toMatchObject({ code: 'site.revoked' });
    await expect(federation.hub.ask('revoke', { site: 'nobody' })).rejects.toMatchObject({
      code: 'site.unknown',
    });
    expect(await verifyLedger(federation.folder)).toMatchObject({ verified: true });
  });
});
