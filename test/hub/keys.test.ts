/** @file Keys that change: of a site by its own word, of a lost device by the coordinator's. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileSecrets } from '../../core/secrets.ts';
import {
  fingerprint,
  generateIdentity,
  openIdentity,
  publicIdentity,
  sign,
} from '../../core/federation/identity.ts';
import type { Identity } from '../../core/federation/identity.ts';
import { parseInvitation } from '../../core/federation/invitation.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import type { MessageOf } from '../../core/federation/messages.ts';
import { verifyRoster } from '../../core/federation/roster.ts';
import { rotationStatement } from '../../core/federation/rotation.ts';
import { askHub } from '../../core/hub/ask.ts';
import { openHubFolder } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import { retireFormerKeys, rotateHubKeys } from '../../core/hub/rotation.ts';
import { createSessions } from '../../core/hub/sessions.ts';
import { askSite } from '../../core/site/ask.ts';
import { connectToHub } from '../../core/site/connect.ts';
import type { SitePoint } from '../../core/site/store.ts';
import { cleanUp, createFederation, joinSite, temporaryFolder } from '../helpers/federation.ts';
import {
  importRows,
  makePlan,
  makeSiteFolder,
  makeTrainer,
  openScriptedHub,
  SOFTWARE,
  start,
} from '../helpers/site.ts';
import type { FakeTrainer } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';
import { foundFederation } from '../helpers/whole.ts';
import type { WholeFederation } from '../helpers/whole.ts';

let root: string;
let trainers: Record<string, FakeTrainer>;
let federation: WholeFederation;

/** A federation of three sites for each test of a group. */
function founded(): void {
  beforeEach(async () => {
    root = temporaryFolder();
    trainers = { north: makeTrainer(), south: makeTrainer(), west: makeTrainer() };
    federation = await foundFederation(root, trainers);
  });
  afterEach(async () => {
    for (const trainer of Object.values(trainers)) trainer.release();
    await federation.stop();
  });
}
afterEach(cleanUp);

const at = (name: string): { folder: string; software: string } => ({
  folder: join(root, name),
  software: SOFTWARE,
});
const member = (name: string) => federation.hub().context.members.find(name);
const keysAreOf = async (name: string): Promise<void> => {
  const { ed25519, x25519 } = await openIdentity(fileSecrets(join(root, name)));
  expect(member(name)).toMatchObject({
    ed25519: Buffer.from(ed25519.publicKey),
    x25519: Buffer.from(x25519.publicKey),
  });
};

/** Comes to the hub under some keys. */
function comeAs(identity: Identity) {
  const { hub } = federation;
  return connectToHub({
    ...{ urls: [hub().url], role: 'control', software: 'test', identity },
    hubX25519: hub().context.identity.x25519.publicKey,
  });
}

async function rotated(name: string): Promise<void> {
  await askSite(at(name), 'rotateKeys', {});
  await until(() => keysAreOf(name));
}

/** Both ledgers verify, and the hub's has everything that the site has countersigned. */
async function ledgersAgree(name: string): Promise<void> {
  const out = join(root, 'hub.jsonl');
  await federation.hub().ask('ledger', { out });
  expect(await verifyLedger(join(root, name))).toMatchObject({ verified: true });
  expect(await verifyLedger(out, { witnesses: [join(root, name)] })).toMatchObject({ verified: true });
}

describe('a site that changes its keys', () => {
  founded();

  it('in the middle of a round goes on with it; the old keys are worth nothing', async () => {
    trainers.north.hold = true;
    const before = await openIdentity(fileSecrets(join(root, 'north')));
    const version = federation.hub().context.members.roster().version;
    const run = await federation.propose(makePlan({ federation: { rounds: 2, minSites: 3 } }));
    await until(() => expect(trainers.north.requests).toHaveLength(1));
    await askSite(at('north'), 'rotateKeys', {});
    await until(() => expect(federation.hub().context.members.roster().version).toBe(version + 1));
    trainers.north.release();
    expect(await federation.adapters(run)).toHaveLength(3);
    await keysAreOf('north');
    expect(Buffer.from((await openIdentity(fileSecrets(join(root, 'north')))).x25519.publicKey)).not.toEqual(
      Buffer.from(before.x25519.publicKey),
    );
    await expect(comeAs(before)).rejects.toMatchObject({ code: 'site.unknown' });
    await ledgersAgree('north');
  });

  it('while it is not running does so at once, and again', async () => {
    await federation.stopSite('north');
    for (const time of [1, 2]) {
      expect(await askSite(at('north'), 'rotateKeys', {}), `time ${time}`).toEqual({ pending: false });
      await keysAreOf('north');
    }
    await ledgersAgree('north');
  });

  it('while the hub is away does so when it is back', async () => {
    await federation.stopSite('north');
    await federation.hub().stop();
    await expect(askSite(at('north'), 'rotateKeys', {})).rejects.toMatchObject({ code: 'hub.unreachable' });
    await federation.startHub();
    await federation.startSite('north', trainers.north);
    await until(() => keysAreOf('north'));
    await ledgersAgree('north');
  });

  it.each<SitePoint>([
    'begin-rotation:before',
    'begin-rotation:after',
    'rotate-keys:before',
    'rotate-keys:after',
  ])('and dies at %s comes back with keys that the hub knows', async (point) => {
    await federation.stopSite('north');
    const crashPoint = (passed: SitePoint): void => {
      if (passed === point) throw new Error('killed');
    };
    await expect(askSite({ ...at('north'), crashPoint }, 'rotateKeys', {})).rejects.toThrow('killed');
    await federation.startSite('north', trainers.north);
    await until(() => expect(federation.hub().context.outbox.presence('north').connected).toBe(true));
    await rotated('north');
    await keysAreOf('north');
    await ledgersAgree('north');
  });

  it.each(['before', 'after'] as const)('at a hub that dies at rotate-member:%s', async (side) => {
    await federation.stopSite('north');
    await federation.hub().stop();
    const dying = await startHub({
      folder: join(root, 'hub'),
      crashPoint: (point) => {
        if (point === `rotate-member:${side}`) throw new Error('killed');
      },
    });
    await expect(askSite(at('north'), 'rotateKeys', {})).rejects.toThrow();
    await dying.stopped;
    await federation.startHub();
    await rotated('north');
    await keysAreOf('north');
    await ledgersAgree('north');
  });
});

describe('an attacker', () => {
  /** A change of south's keys as south's own connection could ask for it, spoiled in one way. */
  it.each([
    ['without the signature of the keys before', { signer: generateIdentity() }],
    ['without the signature of the new keys', { prover: generateIdentity() }],
    ['made for another site', { site: 'north' }],
    ['made for another federation', { federation: 'banks' }],
    ['made for keys that are no longer the site’s', { from: new Uint8Array(32).fill(1) }],
    ['to the keys of another member', { thief: true }],
  ])('cannot have keys changed %s', async (_, spoiled: Partial<Spoiled>) => {
    const plain = await createFederation();
    const [north, south] = [await joinSite(plain, 'north'), await joinSite(plain, 'south')];
    const next = spoiled.thief === true ? north.identity : generateIdentity();
    const keys = { ed25519: next.ed25519.publicKey, x25519: next.x25519.publicKey };
    const statement = rotationStatement({
      federation: spoiled.federation ?? 'clinics',
      site: spoiled.site ?? 'south',
      from: spoiled.from ?? south.identity.x25519.publicKey,
      ...keys,
    });
    const request: MessageOf<'rotate-keys'> = {
      ...{ type: 'rotate-keys', ...keys },
      signature: sign((spoiled.signer ?? south.identity).ed25519, statement),
      proof: sign((spoiled.prover ?? next).ed25519, statement),
    };
    const channel = south.control();
    channel.send(request);
    expect((await channel.closed).code).toBe('identity.bad-signature');
    expect(plain.hub.context.members.find('south')?.x25519).toEqual(
      Buffer.from(south.identity.x25519.publicKey),
    );
    expect(plain.hub.context.members.roster().version).toBe(2);
  });

  it('cannot repeat a change that was made', async () => {
    const plain = await createFederation();
    const south = await joinSite(plain, 'south');
    const changes: MessageOf<'rotate-keys'>[] = [];
    let present = south.identity;
    for (let change = 0; change < 2; change++) {
      const next = generateIdentity();
      const keys = { ed25519: next.ed25519.publicKey, x25519: next.x25519.publicKey };
      const from = present.x25519.publicKey;
      const statement = rotationStatement({ federation: 'clinics', site: 'south', from, ...keys });
      const [signature, proof] = [sign(present.ed25519, statement), sign(next.ed25519, statement)];
      changes.push({ type: 'rotate-keys', ...keys, signature, proof });
      south.control().send(changes[change]);
      await south.heardOf('keys-rotated', ({ roster }) => roster.version === 2 + change);
      present = next;
    }
    const channel = south.control();
    channel.send(changes[0]);
    expect((await channel.closed).code).toBe('identity.bad-signature');
  });
});

interface Spoiled {
  readonly signer: Identity;
  readonly prover: Identity;
  readonly site: string;
  readonly federation: string;
  readonly from: Uint8Array;
  readonly thief: boolean;
}

describe('a hub that changes its keys', () => {
  founded();
  const hubFolder = (): string => join(root, 'hub');
  const rotate = (finish = false) => askHub(hubFolder(), 'rotateKeys', { finish });
  const pinned = (name: string) => askSite(at(name), 'status', {}).then((status) => status.hubFingerprint);

  it('is followed by its sites, also by one that comes later, until it answers to the old keys no more', async () => {
    const before = await openIdentity(fileSecrets(hubFolder()));
    await federation.stopSite('west');
    await federation.hub().stop();
    const { fingerprint } = await rotate();
    await expect(rotate()).rejects.toMatchObject({ code: 'hub.rotating' });
    await federation.startHub();
    for (const name of ['north', 'south'])
      await until(async () => expect(await pinned(name)).toBe(fingerprint));
    await federation.startSite('west', trainers.west);
    await until(async () => expect(await pinned('west')).toBe(fingerprint));
    const run = await federation.propose(makePlan({ federation: { rounds: 2, minSites: 3 } }));
    expect(await federation.adapters(run)).toHaveLength(3);
    for (const name of ['north', 'west']) await ledgersAgree(name);

    const stranger = await openIdentity(fileSecrets(join(root, 'north')));
    const underOldKeys = () =>
      connectToHub({
        ...{ urls: [federation.hub().url], role: 'bulk', software: 'test', identity: stranger },
        hubX25519: before.x25519.publicKey,
      });
    const { channel, welcome } = await underOldKeys();
    verifyRoster(welcome.roster, before.ed25519.publicKey);
    channel.close();
    await federation.hub().stop();
    await rotate(true);
    await federation.startHub();
    await expect(underOldKeys()).rejects.toMatchObject({ code: 'hub.wrong-key' });
    expect(readdirSync(hubFolder()).filter((name) => name.startsWith('former'))).toEqual([]);
  });

  it.each(['rotate-hub:before', 'rotate-hub:after', 'retire-keys:before', 'retire-keys:after'] as const)(
    'and dies at %s goes on',
    async (point) => {
      await federation.hub().stop();
      if (point.startsWith('retire')) await rotate();
      const outbox = createSessions(() => 0);
      const dying = await openHubFolder({
        ...{ folder: hubFolder(), outbox, log: pino({ level: 'silent' }) },
        crashPoint: (passed) => {
          if (passed === point) throw new Error('killed');
        },
      });
      const death = point.startsWith('retire') ? retireFormerKeys(dying) : rotateHubKeys(dying);
      await expect(death).rejects.toThrow('killed');
      dying.store.close();
      if (point === 'rotate-hub:before') await rotate();
      await federation.startHub();
      const now = fingerprint(await openIdentity(fileSecrets(hubFolder())).then(publicIdentity));
      if (!point.startsWith('retire')) {
        for (const name of ['north', 'west']) await until(async () => expect(await pinned(name)).toBe(now));
      }
      await ledgersAgree('north');
    },
  );
});

describe('a hub’s new keys', () => {
  it.each(['the keys before', 'the new keys'])(
    'are not pinned without the signature of %s',
    async (missing) => {
      const folder = temporaryFolder();
      const hub = await openScriptedHub(folder);
      await makeSiteFolder(hub, join(folder, 'site'));
      const site = await start(join(folder, 'site'), makeTrainer());
      await until(() => expect(hub.control).toHaveLength(2));
      const [next, other] = [generateIdentity(), generateIdentity()];
      const keys = publicIdentity(next);
      const from = hub.identity.x25519.publicKey;
      const statement = rotationStatement({ federation: 'clinics', site: '', from, ...keys });
      const [old, fresh] = missing === 'the new keys' ? [hub.identity, other] : [other, next];
      const { channel } = hub.control[1];
      const [signature, proof] = [sign(old.ed25519, statement), sign(fresh.ed25519, statement)];
      channel.send({ type: 'hub-keys', ...keys, signature, proof });
      expect((await channel.closed).code).toBe('identity.bad-signature');
      expect(site.status().hubFingerprint).toBe(fingerprint(publicIdentity(hub.identity)));
      await site.stop();
      await hub.listener.close();
    },
  );
});

describe('a device that is lost', () => {
  founded();

  it('is replaced with the coordinator’s consent alone; the round under way goes on', async () => {
    trainers.west.hold = true;
    const lost = await openIdentity(fileSecrets(join(root, 'west')));
    const run = await federation.propose(
      makePlan({ federation: { rounds: 3, minSites: 2, deadline: '1h' } }),
    );
    await until(() => expect(trainers.west.requests).toHaveLength(1));
    const { hub } = federation;
    await expect(hub().ask('invite', { site: 'west' })).rejects.toMatchObject({ code: 'site.name-taken' });
    const open = (await hub().ask('invite', {})).invitation;
    await expect(askSite(at('impostor'), 'join', { invitation: open, name: 'west' })).rejects.toMatchObject({
      code: 'site.name-taken',
    });

    trainers.north.hold = true;
    const { invitation } = await hub().ask('invite', { site: 'west', replace: true });
    await askSite(at('another'), 'join', { invitation });
    // Round 0 waits for west no longer; the other two close it.
    await until(() => expect(hub().context.runs.currentRound(run)?.number).toBe(1));
    await importRows(join(root, 'another'), 9);
    await askSite(at('another'), 'approve', { standing: true, dataset: 'notes' });
    const replacement = makeTrainer();
    await federation.startSite('another', replacement);
    await until(() => expect(replacement.requests.length).toBeGreaterThan(0));
    trainers.north.release();
    await until(() => expect(hub().context.runs.run(run)?.state).toBe('completed'));
    const cohorts = federation.events.flatMap((event) => (event.type === 'round' ? [event.cohort] : []));
    expect(cohorts[0]).toEqual(['north', 'south']);
    expect(cohorts[2]).toEqual(['north', 'south', 'west']);

    await expect(comeAs(lost)).rejects.toMatchObject({ code: 'site.revoked' });
    expect(Buffer.from(member('west')?.x25519 ?? [])).not.toEqual(Buffer.from(lost.x25519.publicKey));
    await ledgersAgree('another');
    const entries = readFileSync(join(root, 'hub.jsonl'), 'utf8');
    expect(entries).toContain(`"replaces":"${Buffer.from(lost.x25519.publicKey).toString('base64url')}"`);
  });

  it.each(['before', 'after'] as const)('is replaced by a hub that dies at replace:%s', async (side) => {
    await federation.stopSite('west');
    await federation.hub().stop();
    const dying = await startHub({
      folder: join(root, 'hub'),
      crashPoint: (point) => {
        if (point === `replace:${side}`) throw new Error('killed');
      },
    });
    const { invitation } = await dying.ask('invite', { site: 'west', replace: true });
    await expect(askSite(at('another'), 'join', { invitation })).rejects.toThrow();
    await dying.stopped;
    await federation.startHub();
    await askSite(at('another'), 'join', { invitation });
    const { x25519 } = await openIdentity(fileSecrets(join(root, 'another')));
    expect(member('west')?.x25519).toEqual(Buffer.from(x25519.publicKey));
    await ledgersAgree('another');
  });

  it('cannot come back with an invitation of its own keys, nor replace what never was', async () => {
    const { hub } = federation;
    await expect(hub().ask('invite', { site: 'nobody', replace: true })).rejects.toMatchObject({
      code: 'site.unknown',
    });
    await federation.stopSite('west');
    const lost = await openIdentity(fileSecrets(join(root, 'west')));
    const { invitation } = await hub().ask('invite', { site: 'west', replace: true });
    await askSite(at('another'), 'join', { invitation });
    const again = parseInvitation((await hub().ask('invite', { site: 'west', replace: true })).invitation);
    const presented = { id: again.id, secret: again.secret, site: 'west' };
    await expect(
      connectToHub({
        ...{ urls: [hub().url], role: 'control', software: 'test', identity: lost, join: presented },
        hubX25519: again.hubX25519,
      }),
    ).rejects.toMatchObject({ code: 'invitation.used' });
  });
});
