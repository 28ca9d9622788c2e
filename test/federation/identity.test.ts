/** @file Keys on disk, signatures, invitations and the members' list. */

import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  fingerprint,
  generateIdentity,
  openIdentity,
  publicIdentity,
  sign,
  verify,
} from '../../core/federation/identity.ts';
import { encodeInvitation, parseInvitation, requireUnexpired } from '../../core/federation/invitation.ts';
import type { Invitation } from '../../core/federation/invitation.ts';
import { findMember, signRoster, verifyRoster } from '../../core/federation/roster.ts';
import { codeOf } from '../helpers/errors.ts';
import { fileSecrets } from '../../core/secrets.ts';

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tributary-identity-'));
  folders.push(path);
  return path;
}
afterEach(() => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true });
});

describe('identity', () => {
  it('is made once and is the same afterwards, in files only its owner reads', async () => {
    const path = folder();
    const first = await openIdentity(fileSecrets(path));
    for (const name of readdirSync(path)) chmodSync(join(path, name), 0o644);
    expect(await openIdentity(fileSecrets(path))).toEqual(first);
    for (const name of readdirSync(path)) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600);
    expect(readdirSync(path).sort()).toEqual(['ed25519.pem', 'x25519.pem']);
    expect(first.ed25519.publicKey).not.toEqual(first.x25519.publicKey);
  });

  it('completes itself after a crash between its two files', async () => {
    const path = folder();
    const first = await openIdentity(fileSecrets(path));
    rmSync(join(path, 'x25519.pem'));
    expect((await openIdentity(fileSecrets(path))).ed25519).toEqual(first.ed25519);
  });

  it.each(['', 'not a key', '-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n'])(
    'names a damaged file (%j) and does not replace it',
    async (content) => {
      const path = folder();
      await openIdentity(fileSecrets(path));
      writeFileSync(join(path, 'ed25519.pem'), content);
      await expect(openIdentity(fileSecrets(path))).rejects.toMatchObject({ code: 'identity.damaged' });
      await expect(openIdentity(fileSecrets(path))).rejects.toMatchObject({ code: 'identity.damaged' });
    },
  );

  it('does not take a key of the other curve', async () => {
    const path = folder();
    await openIdentity(fileSecrets(path));
    writeFileSync(join(path, 'ed25519.pem'), readFileSync(join(path, 'x25519.pem')));
    await expect(openIdentity(fileSecrets(path))).rejects.toMatchObject({ code: 'identity.damaged' });
  });

  it('signs statements that cannot pass for one another', () => {
    const { ed25519 } = generateIdentity();
    const signature = sign(ed25519, ['tributary update', 'run-1', 12, 'hash']);
    const isSigned = (...statement: Parameters<typeof verify>[1]): boolean =>
      verify(ed25519.publicKey, statement, signature);
    expect(isSigned('tributary update', 'run-1', 12, 'hash')).toBe(true);
    expect(isSigned('tributary approval', 'run-1', 12, 'hash')).toBe(false);
    expect(isSigned('tributary update', 'run-11', 2, 'hash')).toBe(false);
    expect(isSigned('tributary update', 'run-1', '12', 'hash')).toBe(false);
    expect(isSigned('tributary update', 'run-1', 12)).toBe(false);
    expect(verify(generateIdentity().ed25519.publicKey, ['tributary update'], signature)).toBe(false);
    expect(verify(new Uint8Array(32).fill(255), ['tributary update'], signature)).toBe(false);
    expect(verify(ed25519.publicKey, ['tributary update'], new Uint8Array(3))).toBe(false);
  });

  it('has a fingerprint of sixteen groups of four that either key changes', () => {
    const hub = publicIdentity(generateIdentity());
    expect(fingerprint(hub)).toMatch(/^[0-9a-f]{4}( [0-9a-f]{4}){15}$/);
    expect(fingerprint({ ...hub, x25519: hub.ed25519 })).not.toBe(fingerprint(hub));
    expect(fingerprint({ ed25519: hub.x25519, x25519: hub.ed25519 })).not.toBe(fingerprint(hub));
  });
});

describe('invitation', () => {
  const hub = publicIdentity(generateIdentity());
  const invitation: Invitation = {
    urls: ['wss://hub.example.org', 'ws://127.0.0.1:4000'],
    hubX25519: hub.x25519,
    hubEd25519: hub.ed25519,
    federation: 'Clinics of the Rhine',
    id: new Uint8Array(16).fill(1),
    secret: new Uint8Array(32).fill(2),
    expires: 1_900_000_000,
    site: 'Klinik Süd',
  };
  const line = encodeInvitation(invitation);

  it('comes back as it was made, however a mail program wraps it', () => {
    expect(line).toMatch(/^tributary1\.[A-Za-z0-9_-]+$/);
    expect(parseInvitation(line)).toEqual(invitation);
    expect(parseInvitation(`  ${line.slice(0, 70)}\r\n ${line.slice(70)}\n`)).toEqual(invitation);
    const { site, ...anonymous } = invitation;
    expect(site).toBe('Klinik Süd');
    expect(parseInvitation(encodeInvitation(anonymous))).toEqual(anonymous);
  });

  it('is called garbled when any letter is wrong or missing', () => {
    fc.assert(
      fc.property(fc.nat(line.length - 2), fc.constantFrom('A', 'z', '7', '-', '', '§'), (at, letter) => {
        const altered = line.slice(0, at) + letter + line.slice(at + 1);
        fc.pre(altered !== line);
        expect(codeOf(() => parseInvitation(altered))).toBe('invitation.garbled');
      }),
    );
    for (const cut of [0, 5, 11, 12, 40, line.length - 1]) {
      expect(codeOf(() => parseInvitation(line.slice(0, cut)))).toBe('invitation.garbled');
    }
  });

  it('is not made for an address a site could not call', () => {
    expect(() => encodeInvitation({ ...invitation, urls: ['https://hub.example.org'] })).toThrow();
    expect(() => encodeInvitation({ ...invitation, urls: [] })).toThrow();
  });

  it('expires', () => {
    expect(codeOf(() => requireUnexpired(invitation, 1_899_999_999))).toBe('no error');
    expect(codeOf(() => requireUnexpired(invitation, 1_900_000_000))).toBe('invitation.expired');
  });
});

describe('roster', () => {
  const hub = generateIdentity();
  const member = (site: string) => ({
    site,
    ...publicIdentity(generateIdentity()),
    joined: 1,
    revoked: null,
  });
  const roster = signRoster(hub.ed25519, {
    federation: 'f',
    version: 4,
    entries: [member('b'), member('a')],
  });

  it('carries the hub’s signature over every part of it', () => {
    expect(roster.entries.map((entry) => entry.site)).toEqual(['a', 'b']);
    expect(codeOf(() => verifyRoster(roster, hub.ed25519.publicKey))).toBe('no error');
    const forged = [
      { ...roster, federation: 'g' },
      { ...roster, version: 5 },
      { ...roster, entries: roster.entries.slice(1) },
      { ...roster, entries: [{ ...roster.entries[0], revoked: 9 }, roster.entries[1]] },
      { ...roster, signature: new Uint8Array(64) },
    ];
    for (const copy of forged) {
      expect(codeOf(() => verifyRoster(copy, hub.ed25519.publicKey))).toBe('roster.bad-signature');
    }
  });

  it('that is older than one seen before is refused', () => {
    expect(codeOf(() => verifyRoster(roster, hub.ed25519.publicKey, 4))).toBe('no error');
    expect(codeOf(() => verifyRoster(roster, hub.ed25519.publicKey, 5))).toBe('roster.rolled-back');
  });

  it('finds a member by its static key', () => {
    expect(findMember(roster, Buffer.from(roster.entries[1].x25519))?.site).toBe('b');
    expect(findMember(roster, new Uint8Array(32))).toBeUndefined();
  });
});
