/** @file The hub is stopped dead before and after every persisted transition; the run ends with the same bytes. */

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { drawCohort } from '../../core/federation/cohort.ts';
import { generateIdentity, openIdentity } from '../../core/federation/identity.ts';
import { parseInvitation } from '../../core/federation/invitation.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { initHub } from '../../core/hub/folder.ts';
import type { CrashPoint } from '../../core/hub/store.ts';
import { openStore, TRANSITIONS } from '../../core/hub/store.ts';
import { connectToHub } from '../../core/site/connect.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import {
  cleanUp,
  createFederation,
  joinSite,
  openFederation,
  smallPlan,
  temporaryFolder,
  trained,
} from '../helpers/federation.ts';
import type { TestFederation } from '../helpers/federation.ts';
import { fileSecrets } from '../../core/secrets.ts';

afterEach(cleanUp);

type Point = Parameters<CrashPoint>[0];

/** Throws at the n-th passage of a point, once, from the moment it is armed. */
function createBomb() {
  let target: { point: Point; passages: number } | null = null;
  return {
    arm(point: Point, passages: number) {
      target = { point, passages };
    },
    crashPoint: (point: Point): void => {
      if (target?.point !== point) return;
      target.passages -= 1;
      if (target.passages > 0) return;
      target = null;
      throw new Error(`crash at ${point}`);
    },
  };
}

function poisoned(base: NamedTensors): NamedTensors {
  const [[name, { shape, data }]] = base;
  return new Map(base).set(name, { shape, data: data.with(0, Infinity) });
}

const plan = smallPlan({ rounds: 2, minSites: 3, strategy: { name: 'fedadam' } });

/** Two honest sites, and one whose first update is refused and then replaced. All of them keep coming back. */
async function populate(federation: TestFederation): Promise<void> {
  await joinSite(federation, 'north', { examples: 30 });
  await joinSite(federation, 'south', { examples: 20 });
  await joinSite(federation, 'west', {
    train: (base, { round }) => (round === 0 ? poisoned(base) : trained(base, 'west', round)),
    on: async (message, site) => {
      if (message.type !== 'update-refused') return true;
      const start = await site.heardOf('round-start', ({ round }) => round === message.round);
      void site.submit(start, trained(await site.base(start), 'west', 0)).catch(() => undefined);
      return true;
    },
  });
}

/** Drawn for round 0 of a plan with the seed of `smallPlan` and a cohort of two of these four. */
const [unwilling] =
  drawCohort(
    ['north', 'south', 'east', 'west'],
    { seed: 3, federation: { cohort: { sites: 2 }, minSites: 2 } },
    0,
  ) ?? [];

/** All aggregates of the finished run, from the ledger. */
async function aggregates(federation: TestFederation): Promise<string[]> {
  const out = join(federation.folder, 'ledger.jsonl');
  await federation.hub.ask('ledger', { out });
  expect(await verifyLedger(out)).toMatchObject({ verified: true });
  return readFileSync(out, 'utf8')
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const { kind, body } = JSON.parse(line) as { kind?: string; body?: { round: number; hash: string } };
      return kind === 'aggregate' && body ? [`${body.round} ${body.hash}`] : [];
    });
}

let undisturbed: string[];
beforeAll(async () => {
  const federation = await createFederation();
  await populate(federation);
  await federation.propose(plan);
  await federation.event('ended');
  undisturbed = await aggregates(federation);
  expect(undisturbed).toHaveLength(2);
  await cleanUp();
});

/** Transitions of a run that completes; the others have tests of their own below. */
const ofRun = [
  ['propose', 1],
  ['answer', 2],
  ['start-run', 1],
  ['offer', 2],
  ['commit-update', 1],
  ['commit-update', 5],
  ['refuse-update', 1],
  ['begin-closing', 1],
  ['close-round', 1],
  ['close-round', 2],
  ['open-round', 1],
  ['countersign', 1],
  ['end-run', 1],
] as const;
const points: [Point, number][] = [
  ...ofRun.flatMap(([name, passage]): [Point, number][] => [
    [`${name}:before`, passage],
    [`${name}:after`, passage],
  ]),
  ['aggregate-written', 1],
  ['aggregate-written', 2],
];

describe('a hub that dies', () => {
  it.each(points)('at %s, passage %d, goes on to the same adapter', async (point, passage) => {
    const bomb = createBomb();
    const federation = await createFederation({ crashPoint: bomb.crashPoint });
    await populate(federation);
    bomb.arm(point, passage);
    await federation.propose(plan).catch(() => undefined);
    await federation.hub.stopped;

    const again = await openFederation(federation.folder);
    expect(again.hub.url).toBe(federation.hub.url);
    const { runs } = await again.hub.ask('runs', {});
    if (runs.length === 0) await again.propose(plan);
    if (runs.every(({ state }) => state !== 'completed')) await again.event('ended');
    expect(await aggregates(again)).toEqual(undisturbed);
    await again.hub.stop();
    expect(readdirSync(join(again.folder, 'blobs'))).toHaveLength(1);
  });

  it('at every passage in turn, again and again, still ends with the same adapter', async () => {
    const folder = temporaryFolder();
    await initHub({ folder, name: 'clinics' });
    const bomb = createBomb();
    let federation = await openFederation(folder);
    await populate(federation);
    await federation.hub.stop();
    const deaths: Point[] = [
      'propose:after',
      'start-run:after',
      'commit-update:after',
      'begin-closing:after',
      'aggregate-written',
      'close-round:before',
      'commit-update:before',
      'close-round:after',
    ];
    for (const point of deaths) {
      bomb.arm(point, 1);
      // A hub that finds a round to close dies before it is open.
      const opened = await openFederation(folder, { crashPoint: bomb.crashPoint });
      if (point === 'propose:after') await opened.propose(plan).catch(() => undefined);
      await opened.hub.stopped;
    }
    federation = await openFederation(folder);
    if ((await federation.status()).state !== 'completed') await federation.event('ended');
    expect(await aggregates(federation)).toEqual(undisturbed);
  });

  it('while a site joins, lets the same site repeat its join', async () => {
    for (const point of ['join:before', 'join:after'] as const) {
      const bomb = createBomb();
      const federation = await createFederation({ crashPoint: bomb.crashPoint });
      const { urls, hubX25519, id, secret } = parseInvitation(await federation.invite());
      const identity = generateIdentity();
      const options = { urls, hubX25519, identity, role: 'control' as const, software: 'test' };
      const join = { id, secret, site: 'north' };
      bomb.arm(point, 1);
      await expect(connectToHub({ ...options, join })).rejects.toThrow();
      await federation.hub.stopped;
      const again = await openFederation(federation.folder);
      const { channel, welcome } = await connectToHub({ ...options, join });
      expect(welcome).toMatchObject({ site: 'north', roster: { version: 1 } });
      channel.close();
      expect((await again.hub.ask('sites', {})).sites).toHaveLength(1);
      expect(await verifyLedger(federation.folder)).toMatchObject({ verified: true });
      await cleanUp();
    }
  });

  it.each(['revoke', 'end-run', 'invite'] as const)('around %s has done it or has not', async (name) => {
    for (const when of ['before', 'after'] as const) {
      const bomb = createBomb();
      const federation = await createFederation({ crashPoint: bomb.crashPoint });
      const north = await joinSite(federation, 'north');
      await federation.propose(plan);
      await federation.event('approved');
      north.drop();
      bomb.arm(`${name}:${when}`, 1);
      const request = {
        revoke: () => federation.hub.ask('revoke', { site: 'north' }),
        'end-run': () => federation.hub.ask('cancel', { run: 'small-run-1' }),
        invite: () => federation.hub.ask('invite', {}),
      };
      await expect(request[name]()).rejects.toThrow(/crash/);
      await federation.hub.stopped;
      const again = await openFederation(federation.folder);
      const [site] = (await again.hub.ask('sites', {})).sites;
      const done = when === 'after';
      expect(site.revoked !== null).toBe(done && name === 'revoke');
      expect((await again.status()).state).toBe(done && name === 'end-run' ? 'cancelled' : 'proposed');
      expect(await verifyLedger(federation.folder)).toMatchObject({ verified: true });
      await cleanUp();
    }
  });

  it.each(['pause', 'resume', 'extend'] as const)('around %s has done it or has not', async (name) => {
    for (const when of ['before', 'after'] as const) {
      const bomb = createBomb();
      const federation = await createFederation({ crashPoint: bomb.crashPoint });
      const { run } = await federation.propose(plan);
      if (name === 'resume') await federation.hub.ask('pause', { run });
      bomb.arm(`${name}:${when}`, 1);
      const request = {
        pause: () => federation.hub.ask('pause', { run }),
        resume: () => federation.hub.ask('resume', { run }),
        extend: () => federation.hub.ask('extend', { run, rounds: 3, deadline: 7200 }),
      };
      await expect(request[name]()).rejects.toThrow(/crash/);
      await federation.hub.stopped;
      const again = await openFederation(federation.folder);
      const paused = name === 'extend' ? false : (name === 'pause') === (when === 'after');
      expect((await again.status()).state).toBe(paused ? 'paused' : 'proposed');
      if (paused) await again.hub.ask('resume', { run });
      await populate(again);
      const { reason } = await again.event('ended');
      expect(reason).toBe('');
      const extended = name === 'extend' && when === 'after';
      expect((await again.status()).rounds).toBe(extended ? 3 : 2);
      expect((await aggregates(again)).slice(0, 2)).toEqual(undisturbed);
      await cleanUp();
    }
  });

  it('around call-up, asks the same sites', async () => {
    const drawn = smallPlan({ rounds: 2, minSites: 2, minApprovals: 4, cohort: { sites: 2 } });
    const outcomes: string[][] = [];
    for (const point of [null, 'call-up:before', 'call-up:after'] as const) {
      const bomb = createBomb();
      const federation = await createFederation({ crashPoint: bomb.crashPoint });
      for (const name of ['north', 'south', 'east', 'west']) {
        // Of the sites that round 0 draws, the first refuses to go on.
        await joinSite(federation, name, {
          on: (message, site) => {
            if (message.type !== 'round-start' || message.round !== 0 || name !== unwilling) return true;
            const { run } = message;
            const planHash = site.heard.find((other) => other.type === 'proposal')?.planHash ?? '';
            site.control().send({ type: 'decline', run, planHash, code: 'data.empty', reason: 'No rows.' });
            return false;
          },
        });
      }
      if (point !== null) bomb.arm(point, 1);
      await federation.propose(drawn).catch(() => undefined);
      let current = federation;
      if (point !== null) {
        await federation.hub.stopped;
        current = await openFederation(federation.folder);
      }
      if ((await current.status()).state !== 'completed') await current.event('ended');
      outcomes.push(await aggregates(current));
      const out = join(current.folder, 'ledger.jsonl');
      expect(readFileSync(out, 'utf8')).toContain('data.empty');
      await cleanUp();
    }
    expect(outcomes[0]).toHaveLength(2);
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[2]).toEqual(outcomes[0]);
  });

  it('while it is made can be made again, and then no more', async () => {
    const folder = temporaryFolder();
    openStore(folder, await openIdentity(fileSecrets(folder))).close(); // keys and an empty database, as far as it came
    await expect(openFederation(folder)).rejects.toMatchObject({ code: 'hub.not-there' });
    await initHub({ folder, name: 'clinics' });
    await expect(initHub({ folder, name: 'clinics' })).rejects.toMatchObject({ code: 'hub.exists' });
    expect(await verifyLedger(folder)).toMatchObject({ verified: true, entries: 1 });
  });
});

it('a stored update that the disk has damaged is asked for again', async () => {
  const bomb = createBomb();
  const federation = await createFederation({ crashPoint: bomb.crashPoint });
  await populate(federation);
  bomb.arm('begin-closing:after', 1);
  await federation.propose(plan);
  await federation.hub.stopped;
  const damaged = updateBlob(federation);
  const bytes = readFileSync(damaged);
  bytes[bytes.length - 1] ^= 1;
  writeFileSync(damaged, bytes);
  const again = await openFederation(federation.folder);
  await again.event('ended');
  expect(await aggregates(again)).toEqual(undisturbed);
});

/** The file of north's update in a hub that has died. */
function updateBlob({ events, folder }: TestFederation): string {
  expect(events.filter(({ type }) => type === 'update')).toHaveLength(3);
  const blobs = readdirSync(join(folder, 'blobs'));
  const header = (name: string): string =>
    readFileSync(join(folder, 'blobs', name))
      .subarray(0, 400)
      .toString('latin1');
  const adapters = blobs.filter((name) => header(name).includes('"F32"'));
  // The base is the one whose B matrices are all zero.
  const isBase = (name: string): boolean =>
    readFileSync(join(folder, 'blobs', name))
      .subarray(-8)
      .every((byte) => byte === 0);
  const found = adapters.find((name) => !isBase(name));
  if (found === undefined) throw new Error('There is no update on disk.');
  return join(folder, 'blobs', found);
}

it('the matrix and its companions name every transition', () => {
  const own = ['init', 'invite', 'join', 'revoke', 'lose-update', 'pause', 'resume', 'extend', 'call-up'];
  // In the tests of rehearsals, keys and scoring.
  const others = ['rehearse', 'rehearsed', 'replace', 'score', 'end-scoring'];
  const elsewhere = [...own, ...others, 'rotate-member', 'rotate-hub', 'retire-keys'];
  expect([...new Set([...ofRun.map(([name]) => name), ...elsewhere])].sort()).toEqual(
    [...TRANSITIONS].sort(),
  );
});
