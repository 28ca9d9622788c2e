/** @file A hub and a site are killed (SIGKILL) at every named point; each run ends with the same bytes. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { initHub } from '../../core/hub/folder.ts';
import { TRANSITIONS } from '../../core/hub/store.ts';
import { SITE_TRANSITIONS } from '../../core/site/store.ts';
import { smallIdentity, smallModel, smallPlan } from '../helpers/federation.ts';
import {
  copyOf,
  daemon,
  keptAdapter,
  makeTemplate,
  pause,
  propose,
  record,
  removeFolders,
  run,
  statusOf,
  tell,
  tellSite,
  temporaryFolder,
} from './federation.ts';
import type { Crash, Daemon, SiteName } from './federation.ts';

/** Far more than a busy machine needs; what hangs shows. */
const PATIENCE = 240_000;

const plan = smallPlan({ rounds: 2, minSites: 2, strategy: { name: 'scaffold' } });

const rehearsal = { plan, model: smallIdentity, configuration: smallModel };

interface Story {
  /** Where the hub dies, life by life; where south, which always takes part. */
  readonly hub?: readonly Crash[];
  readonly south?: readonly Crash[];
  /** West sends updates that are refused, and dies there; north comes when it has been. */
  readonly garbage?: boolean;
  readonly west?: readonly Crash[];
  /** East's policy declines the plan, and it dies there. */
  readonly east?: readonly Crash[];
  /** South is stopped by a person before north comes, dies there, and is let go on. */
  readonly stopped?: boolean;
  /** The sites are asked to measure the plan first, for which the training that pretends has nothing to say. */
  readonly rehearsal?: boolean;
  /** Told after each death of the hub. */
  readonly onHubDeath?: (hub: string) => void;
  /** What happens before the run is proposed, with the hub's folder. */
  readonly before?: (hub: string, root: string) => Promise<void>;
}

interface Ending {
  readonly aggregates: string[];
  readonly updates: string[];
  readonly adapter: string;
}

let template: string;

/** Tells a story from the founding of a federation to the end of its run. */
async function play(story: Story): Promise<Ending> {
  const root = copyOf(template);
  const at = (name: SiteName | 'hub'): string => join(root, name);
  const hub = at('hub');
  const daemons: Daemon[] = [];
  const start = (name: SiteName, options: Parameters<typeof daemon>[1] = {}): void => {
    daemons.push(daemon(['site', at(name)], options));
  };
  daemons.push(daemon(['hub', hub], { crashes: story.hub, onDeath: () => story.onHubDeath?.(hub) }));
  try {
    await story.before?.(hub, root);
    start('south', { crashes: story.south });
    if (story.garbage) start('west', { crashes: story.west, environment: { TRIBUTARY_TEST_GARBAGE: '1' } });
    else if (!story.stopped) start('north');
    if (story.east !== undefined) {
      writeFileSync(join(at('east'), 'policy.json'), JSON.stringify({ version: 1, maxRounds: 1 }));
      start('east', { crashes: story.east });
    }
    if (story.rehearsal) await tell(hub, 'rehearse', rehearsal);
    const id = await propose(hub, plan);
    if (story.stopped) {
      await tellSite(at('south'), 'stopRun', { run: id, how: 'save' });
      await Promise.all(daemons.map(({ crashed }) => crashed));
      await tellSite(at('south'), 'resumeRun', { run: id });
      start('north');
    }
    if (story.garbage) {
      const refused = (name: string, state: string): boolean => name === 'west' && state === 'refused';
      await statusOf(hub, id, ({ sites }) => sites.some(({ name, state }) => refused(name, state)));
      await Promise.all(daemons.map(({ crashed }) => crashed));
      start('north');
    }
    const failed = Promise.race(
      daemons.map(({ crashed }) => crashed.then(() => new Promise<never>(() => undefined))),
    );
    await Promise.race([failed, statusOf(hub, id, ({ state }) => state === 'completed')]);
    const adapters = await Promise.all(
      (['north', 'south'] as const).map((name) => Promise.race([failed, keptAdapter(at(name), id)])),
    );
    await Promise.race([failed, Promise.all(daemons.map(({ crashed }) => crashed))]);
    expect(new Set(adapters).size).toBe(1);
    const ending = { ...(await record(hub, id)), adapter: adapters[0] };
    expect(await verifyLedger(at('south'))).toMatchObject({ verified: true });
    return ending;
  } finally {
    await Promise.all(daemons.map(({ stop }) => stop()));
  }
}

let undisturbed: Ending;
beforeAll(async () => {
  template = await makeTemplate();
  undisturbed = await play({});
  expect(undisturbed.aggregates).toHaveLength(2);
  expect(undisturbed.updates).toHaveLength(4);
}, PATIENCE);
afterAll(removeFolders);

/** Deaths on both sides of each transition, or, but for the long tests, on one side in turns. */
const around = (names: readonly (readonly [string, number])[]): Crash[] =>
  names.flatMap(([name, passage], index) => {
    const sides: Crash[] = [`${name}:before ${passage}`, `${name}:after ${passage}`];
    return process.env.TRIBUTARY_LONG_TESTS ? sides : [sides[index % 2]];
  });

/** The sides of a transition whose story is long: one of them, or, for the long tests, both. */
const sides = process.env.TRIBUTARY_LONG_TESTS ? (['before', 'after'] as const) : (['after'] as const);

/** A file was written of which the database knows nothing: in the first round, or, for the long tests, in both. */
const passages = (point: string): Crash[] =>
  process.env.TRIBUTARY_LONG_TESTS ? [`${point} 1`, `${point} 2`] : [`${point} 1`];

const hubOfRun = [
  ['propose', 1],
  ['answer', 2],
  ['start-run', 1],
  ['offer', 2],
  ['commit-update', 1],
  ...(process.env.TRIBUTARY_LONG_TESTS ? ([['commit-update', 4]] as const) : []),
  ['begin-closing', 1],
  ['close-round', 1],
  ...(process.env.TRIBUTARY_LONG_TESTS ? ([['close-round', 2]] as const) : []),
  ['open-round', 1],
  ['countersign', 1],
] as const;

const siteOfRun = [
  ['see-roster', 1],
  ['take-proposal', 1],
  ['approve', 1],
  ['begin-round', 2],
  ['keep-update', 1],
  ['acknowledge', 2],
  ['close-round', 1],
  ['countersign', 2],
  ['end-run', 1],
  ['save-adapter', 1],
] as const;

const hubDeaths = [...around(hubOfRun), ...passages('aggregate-written')];
const siteDeaths = [...around(siteOfRun), ...passages('update-written')];
const isLong = process.env.TRIBUTARY_LONG_TESTS !== undefined;
/** In the long tests each dies in a run of its own; otherwise both die in one, which takes half the time. */
const together = Array.from(
  { length: isLong ? 0 : Math.max(hubDeaths.length, siteDeaths.length) },
  (_, index) => [hubDeaths[index % hubDeaths.length], siteDeaths[index % siteDeaths.length]] as const,
);

it.each(together)(
  'a hub that is killed at %s and a site at %s go on to the same adapter',
  async (hub, south) => expect(await play({ hub: [hub], south: [south] })).toEqual(undisturbed),
  PATIENCE,
);

describe('a hub that is killed', () => {
  it.each(isLong ? hubDeaths : [])(
    'at %s goes on to the same adapter',
    async (crash) => expect(await play({ hub: [crash] })).toEqual(undisturbed),
    PATIENCE,
  );

  it.each(
    around([
      ['revoke', 1],
      ['end-run', 1],
      ['invite', 1],
      ['rehearse', 1],
    ]),
  )(
    'at %s, before a run, can be told the same again',
    async (crash) => {
      const [name] = crash.split(':');
      const steps: Readonly<Record<string, (hub: string) => Promise<void>>> = {
        revoke: async (hub) => {
          await tell(hub, 'revoke', { site: 'east' });
          const { sites } = await tell(hub, 'sites', {});
          expect(sites.find((site) => site.name === 'east')?.revoked).not.toBeNull();
        },
        'end-run': async (hub) => {
          const id = await propose(hub, { ...plan, name: 'Dropped' });
          try {
            await tell(hub, 'cancel', { run: id });
          } catch (error) {
            expect(error).toMatchObject({ code: 'run.not-open' }); // it had been cancelled before the death
          }
        },
        invite: async (hub) => {
          expect((await tell(hub, 'invite', {})).invitation).toContain('tributary1.');
        },
        rehearse: async (hub) => {
          const { rehearsal: id } = await tell(hub, 'rehearse', rehearsal);
          expect((await tell(hub, 'rehearsal', { rehearsal: id })).sites[0].state).toBe('away');
        },
      };
      const ending = await play({ hub: [crash], before: steps[name] });
      expect(ending).toEqual(undisturbed);
    },
    PATIENCE,
  );

  it.each(around([['rehearsed', 1]]))(
    'at %s has forgotten a rehearsal and goes on to the same adapter',
    async (crash) => expect(await play({ hub: [crash], rehearsal: true })).toEqual(undisturbed),
    PATIENCE,
  );

  it.each(sides)(
    'at lose-update:%s, with an update that the disk has damaged, asks for it again',
    async (when) => {
      let isDamaged = false;
      const ending = await play({
        hub: ['begin-closing:after 1', `lose-update:${when} 1`],
        onHubDeath: (hub) => {
          if (!isDamaged) damageUpdate(hub);
          isDamaged = true;
        },
      });
      expect(ending.aggregates).toEqual(undisturbed.aggregates);
      expect(ending.adapter).toEqual(undisturbed.adapter);
    },
    PATIENCE,
  );

  it.each(sides)(
    'at join:%s lets the same site join again',
    async (when) => {
      const ending = await play({
        hub: [`join:${when} 1`],
        before: (hub, root) => joinAnother(hub, join(root, 'another')),
      });
      expect(ending).toEqual(undisturbed);
    },
    PATIENCE,
  );

  it.each(['before', 'after'])('at init:%s can be made', async (when) => {
    const folder = temporaryFolder();
    expect(await run(['init', folder, 'clinics'], `init:${when} 1`)).toMatchObject({ died: true });
    const again = initHub({ folder, name: 'clinics' });
    if (when === 'before') await again;
    else await expect(again).rejects.toMatchObject({ code: 'hub.exists' });
    expect(await verifyLedger(folder)).toMatchObject({ verified: true, entries: 1 });
  });
});

describe('a site that is killed', () => {
  it.each(isLong ? siteDeaths : [])(
    'at %s goes on to the same adapter',
    async (crash) => expect(await play({ south: [crash] })).toEqual(undisturbed),
    PATIENCE,
  );

  it.each(around([['decline', 1]]))(
    'at %s declines again',
    async (crash) => expect(await play({ east: [crash] })).toEqual(undisturbed),
    PATIENCE,
  );

  it.each(around([['rehearse', 1]]))(
    'at %s goes on to the same adapter',
    async (crash) => expect(await play({ south: [crash], rehearsal: true })).toEqual(undisturbed),
    PATIENCE,
  );

  it.each(sides)(
    'at stop-run:%s can be stopped again, and goes on to the same adapter',
    async (side) => expect(await play({ south: [`stop-run:${side} 1`], stopped: true })).toEqual(undisturbed),
    PATIENCE,
  );

  it.each(process.env.TRIBUTARY_LONG_TESTS ? ['join', 'approve-standing', 'leave'] : ['join'])(
    'around %s can do the same again',
    async (name) => {
      const ending = await play({
        before: async (hub, root) => {
          for (const when of ['before', 'after']) {
            await joinAnother(hub, join(root, when), { name, crash: `${name}:${when} 1` });
          }
        },
      });
      expect(ending).toEqual(undisturbed);
    },
    PATIENCE,
  );
});

describe('an update that is refused', () => {
  let expected: Ending;
  beforeAll(async () => {
    expected = await play({ garbage: true });
    expect(expected.updates).toEqual(undisturbed.updates);
  }, PATIENCE);

  it.each(around([['refuse-update', 1]]))(
    'is refused again by a hub killed at %s',
    async (crash) => expect(await play({ garbage: true, hub: [crash] })).toEqual(expected),
    PATIENCE,
  );

  it.each(around([['refuse-update', 1]]))(
    'stays refused at a site killed at %s',
    async (crash) => expect(await play({ garbage: true, west: [crash] })).toEqual(expected),
    PATIENCE,
  );
});

it('names every transition of hub and site', () => {
  const apart = [
    'init',
    'rehearse',
    'rehearsed',
    'invite',
    'join',
    'revoke',
    'end-run',
    'lose-update',
    'refuse-update',
  ];
  // Of runs that draw, score or are controlled: in one process, in test/hub and test/site.
  const inProcess = ['replace', 'call-up', 'score', 'end-scoring', 'pause', 'resume', 'extend'];
  const ofKeys = ['rotate-member', 'rotate-hub', 'retire-keys']; // in rotation.test.ts
  const ofHub = new Set([...hubOfRun.map(([name]) => name), ...apart, ...inProcess, ...ofKeys]);
  expect([...ofHub].sort()).toEqual([...TRANSITIONS].sort());
  const amendments = ['take-amendment', 'approve-amendment', 'adopt-amendment'];
  const ofData = ['record-import', 'withdraw-data'];
  const elsewhere = [
    'join',
    'approve-standing',
    'leave',
    'decline',
    'rehearse',
    'stop-run',
    'refuse-update',
    ...amendments,
    ...ofData,
    ...['begin-rotation', 'rotate-keys', 'pin-hub'], // in rotation.test.ts
  ];
  expect([...new Set([...siteOfRun.map(([name]) => name), ...elsewhere])].sort()).toEqual(
    [...SITE_TRANSITIONS].sort(),
  );
});

/** A site joins, approves and leaves; what kills it, or the hub, on the way is done again. */
async function joinAnother(
  hub: string,
  folder: string,
  death?: { name: string; crash: Crash },
): Promise<void> {
  const name = `another-${death?.crash.split(/[: ]/).join('-') ?? 'one'}`;
  const { invitation } = await tell(hub, 'invite', { site: name });
  const rows = join(hub, '..', 'south', 'rows.jsonl');
  const steps: readonly (readonly [string, object])[] = [
    ['join', { invitation, name }],
    ['import', { file: rows, as: 'rows' }],
    ['approve-standing', { standing: true, dataset: 'rows' }],
    ['leave', {}],
  ];
  for (const [step, request] of steps) {
    const words = ['ask', folder, step === 'approve-standing' ? 'approve' : step, JSON.stringify(request)];
    if (death?.name === step) expect(await run(words, death.crash)).toMatchObject({ died: true });
    for (;;) {
      try {
        await run(words);
        break;
      } catch (error) {
        if (step === 'leave' && String(error).includes('site.not-joined')) break; // it had left before its death
        if (!/hub\.unreachable|wire\.closed/.test(String(error))) throw error;
        await pause(); // the hub has died and comes back
      }
    }
  }
  expect((await tell(hub, 'sites', {})).sites.map((site) => site.name)).toContain(name);
}

/** Alters one byte of an update that the hub has stored. */
function damageUpdate(hub: string): void {
  const out = join(hub, 'blobs');
  const large = readdirSync(out).filter((file) => /^[0-9a-f]{64}$/.test(file));
  const isUpdate = (file: string): boolean => {
    const bytes = readFileSync(join(out, file));
    return bytes.subarray(0, 4000).toString('latin1').includes('control') && bytes.includes('F32');
  };
  const found = large.find(isUpdate);
  if (found === undefined) throw new Error('There is no update on disk.');
  const bytes = readFileSync(join(out, found));
  bytes[bytes.length - 1] ^= 1;
  writeFileSync(join(out, found), bytes);
}
