/** @file Plans are measured at real sites before they run: what fits, what is told, who has to agree. */

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { pinPlan, readPlan } from '../../core/federation/plan.ts';
import { bytesOfEnd, bytesOfRound } from '../../core/federation/round-bytes.ts';
import type { RehearsalReport } from '../../core/hub/forecast.ts';
import { owedRehearsals } from '../../core/hub/rehearsals.ts';
import { machine } from '../../core/machine.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { askSite } from '../../core/site/ask.ts';
import type { RehearsalRequest } from '../../core/site/trainer.ts';
import { removeFolder } from '../helpers/folders.ts';
import { makePlan, makeTrainer, SOFTWARE } from '../helpers/site.ts';
import type { FakeTrainer } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';
import { foundFederation } from '../helpers/whole.ts';
import type { WholeFederation } from '../helpers/whole.ts';

const MODEL = { id: 'tiny', sha256: 'ab'.repeat(32) };
const NAMES = ['clinic-a', 'clinic-b', 'clinic-c'];

/** A trainer that takes so long for a step and so much memory. */
function measuring(
  secondsPerStep: number,
  memory = 5e8,
): FakeTrainer & { readonly rehearsed: RehearsalRequest[] } {
  const rehearsed: RehearsalRequest[] = [];
  return Object.assign(makeTrainer(), {
    rehearsed,
    rehearse: (request: RehearsalRequest) => {
      rehearsed.push(request);
      request.onStep(1);
      const figures = { secondsPerStep, tokensPerSecond: 100, memory, precision: 'int8', device: 'cpu' };
      return Promise.resolve({ ...figures, memoryLimit: 1e9 });
    },
  });
}

let root: string;
let federation: WholeFederation;
let trainers: Record<string, ReturnType<typeof measuring>>;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-rehearsal-'));
  trainers = { 'clinic-a': measuring(0.5), 'clinic-b': measuring(2), 'clinic-c': measuring(1, 2e9) };
  federation = await foundFederation(root, trainers);
  await until(() => {
    for (const name of NAMES) expect(federation.hub().context.outbox.presence(name).connected).toBe(true);
  });
});
afterEach(async () => {
  await federation.stop();
  await removeFolder(root);
});

const request = (changes: Record<string, unknown> = {}) => ({
  plan: readPlan(
    JSON.stringify({
      name: 'clinics',
      model: 'tiny',
      training: { steps: 5 },
      federation: { rounds: 4, minSites: 2 },
      ...changes,
    }),
  ),
  model: MODEL,
  configuration: TINY_CONFIGURATION,
});

async function rehearse(changes: Record<string, unknown> = {}): Promise<string> {
  return (await federation.hub().ask('rehearse', request(changes))).rehearsal;
}

const report = (rehearsal: string): Promise<RehearsalReport> =>
  federation.hub().ask('rehearsal', { rehearsal });

async function settled(rehearsal: string): Promise<RehearsalReport> {
  let last = await report(rehearsal);
  await until(async () => {
    last = await report(rehearsal);
    expect(last.settled).toBe(true);
  });
  return last;
}

it('measures every site, forecasts time and bytes, and enters both sides’ ledgers', async () => {
  const id = await rehearse();
  const { sites, forecast } = await settled(id);
  expect(sites).toMatchObject([
    {
      name: 'clinic-a',
      state: 'measured',
      examples: 10,
      steps: 5,
      secondsPerRound: 2.5,
      contract: { fits: true },
    },
    { name: 'clinic-b', state: 'measured', examples: 11, secondsPerRound: 10, memory: { fits: true } },
    { name: 'clinic-c', state: 'measured', examples: 12, memory: { bytes: 2e9, limit: 1e9, fits: false } },
  ]);
  const plan = pinPlan(request().plan, MODEL);
  const { up, down } = bytesOfRound(plan, TINY_CONFIGURATION, 1);
  expect(forecast).toMatchObject({
    sites: 2,
    needed: 2,
    secondsPerRound: 10,
    seconds: 40,
    tooSlow: [],
    bytesPerRound: { perSite: { up, down }, all: 2 * (up + down) },
    bytes: { up: 8 * up, down: 8 * down + 2 * bytesOfEnd(plan, TINY_CONFIGURATION) },
  });
  expect(trainers['clinic-a'].requests).toEqual([]);
  expect((await federation.hub().ask('runs', {})).runs).toEqual([]);
  for (const name of ['hub', ...NAMES]) {
    expect(await verifyLedger(join(root, name))).toMatchObject({ verified: true });
  }
  const out = join(root, 'ledger.jsonl');
  await federation.hub().ask('ledger', { out });
  expect(readFileSync(out, 'utf8').match(/"kind":"rehearsal"/g)).toHaveLength(4);
  await askSite({ folder: join(root, 'clinic-a'), software: SOFTWARE }, 'ledger', { out });
  expect(readFileSync(out, 'utf8')).toContain('"tokensPerSecond":100');
});

it('tells the parts of the contract that do not fit, and which sites are away', async () => {
  await federation.stopSite('clinic-c');
  await until(() => expect(federation.hub().context.outbox.presence('clinic-c').connected).toBe(false));
  const { sites, forecast } = await settled(
    await rehearse({ data: { minimumRows: 11, fields: ['question'] } }),
  );
  expect(sites).toMatchObject([
    { state: 'refused', contract: { fits: false, parts: ['data.minimumRows'] }, memory: null },
    { state: 'measured', contract: { fits: true } },
    { state: 'away', contract: null },
  ]);
  expect(sites[0].reason).not.toContain('10');
  expect(forecast).toMatchObject({ sites: 1, needed: 2 });
});

it('asks a site that comes later, and forgets nothing that was measured when a site goes', async () => {
  await federation.stopSite('clinic-a');
  await until(() => expect(federation.hub().context.outbox.presence('clinic-a').connected).toBe(false));
  const id = await rehearse();
  await settled(id);
  await federation.startSite('clinic-a', trainers['clinic-a']);
  await federation.stopSite('clinic-b');
  await until(async () => {
    const { sites } = await report(id);
    expect(sites.map(({ state }) => state)).toEqual(['measured', 'measured', 'measured']);
  });
});

/** A site whose people have to agree to everything. */
async function withoutStanding(name: string): Promise<void> {
  await federation.stopSite(name);
  const { default: Database } = await import('better-sqlite3');
  const database = new Database(join(root, name, 'site.sqlite'));
  database.exec("DELETE FROM approval WHERE run = '*'");
  database.close();
  await federation.startSite(name, trainers[name]);
  await until(() => expect(federation.hub().context.outbox.presence(name).connected).toBe(true));
}

it('needs a person’s approval as a run does, or the standing one', async () => {
  const folder = join(root, 'clinic-a');
  await withoutStanding('clinic-a');
  const id = await rehearse();
  const waiting = await settled(id);
  expect(waiting.sites[0]).toMatchObject({ state: 'waiting', memory: null, examples: null });
  expect(trainers['clinic-a'].rehearsed).toEqual([]);
  const options = { folder, software: SOFTWARE };
  expect(await askSite(options, 'status', {})).toMatchObject({
    state: 'awaiting-approval',
    reason: expect.stringContaining(id) as string,
  });
  await askSite(options, 'approve', { run: id, dataset: 'notes' });
  await until(async () => expect((await report(id)).sites[0].state).toBe('measured'));
  // Of this rehearsal alone.
  expect((await settled(await rehearse())).sites[0].state).toBe('waiting');
});

it('ends unanswered when its plan has begun or was withdrawn, and may be asked for again', async () => {
  await withoutStanding('clinic-a');
  const id = await rehearse();
  await settled(id);
  const { context } = federation.hub();
  const waiting = async (): Promise<unknown> =>
    (await askSite({ folder: join(root, 'clinic-a'), software: SOFTWARE }, 'status', {})).rehearsals;
  expect(await waiting()).toEqual([id]);
  const { run, planHash } = await federation.hub().ask('propose', request());
  expect(planHash).toBe((await report(id)).planHash);
  await until(() => expect(context.runs.run(run)?.state).toBe('running'));
  await federation.hub().ask('cancel', { run });
  await until(async () => expect(await waiting()).toEqual([]));
  expect(owedRehearsals(context, 'clinic-a')).toEqual([]);
  const again = await rehearse();
  await settled(again);
  expect(await waiting()).toEqual([again]);
});

it('is asked of a site that comes within a week, and not later', async () => {
  await withoutStanding('clinic-a');
  await settled(await rehearse());
  const { context } = federation.hub();
  const begun = machine.now();
  const owedAfter = (days: number): number => {
    const clock = vi.spyOn(machine, 'now').mockReturnValue(begun + days * 86_400_000);
    try {
      return owedRehearsals(context, 'clinic-a').length;
    } finally {
      clock.mockRestore();
    }
  };
  expect([owedAfter(6.9), owedAfter(7.1)]).toEqual([1, 0]);
});

it('is refused where the site’s policy allows none', async () => {
  const options = { folder: join(root, 'clinic-b'), software: SOFTWARE };
  await askSite(options, 'policy', { set: { version: 1, rehearsals: false } });
  const { sites } = await settled(await rehearse());
  expect(sites[1]).toMatchObject({
    state: 'refused',
    reason: 'The policy of this site allows no rehearsals.',
  });
  expect(trainers['clinic-b'].rehearsed).toEqual([]);
});

it('says why a site cannot be measured, and names sites that would miss the deadline', async () => {
  trainers['clinic-a'].rehearse = () =>
    Promise.reject(
      new TributaryError('engine.out-of-memory', 'A part of 4 × 512 tokens needs about 900 MB.'),
    );
  const { sites, forecast } = await settled(await rehearse({ federation: { rounds: 2, deadline: '5s' } }));
  expect(sites[0]).toMatchObject({
    state: 'refused',
    reason: expect.stringContaining('out-of-memory') as string,
  });
  expect(forecast.tooSlow).toEqual(['clinic-b']);
});

it('is unknown to a hub that has none of that name', async () => {
  await expect(report('nothing-1')).rejects.toMatchObject({ code: 'rehearsal.unknown' });
});

it('forecasts the bytes of a run but for the frames around them', async () => {
  const plan = makePlan({
    federation: { rounds: 2, minSites: 3, codec: 'int8', strategy: { name: 'scaffold' } },
    training: { steps: 2 },
  });
  const run = await federation.propose(plan);
  await federation.adapters(run);
  const { context } = federation.hub();
  const status = (await federation.hub().ask('status', {})).runs[0];
  // Frames, heartbeats and answers come on top.
  for (const { round, sites } of status.history) {
    const { up, down } = bytesOfRound(plan, TINY_CONFIGURATION, round);
    for (const { bytesUp } of sites) expect(bytesUp / up).toBeLessThan(1.2);
    for (const { bytesUp } of sites) expect(bytesUp).toBeGreaterThan(up);
    if (round > 0) for (const { bytesDown } of sites) expect(bytesDown / down).toBeLessThan(1.3);
  }
  const final = context.runs.run(run)?.adapter;
  const end = bytesOfEnd(plan, TINY_CONFIGURATION);
  const control = context.runs.currentRound(run)?.control?.delta?.size ?? 0;
  expect(end).toBeGreaterThan(final?.delta?.size ?? 0);
  expect(control).toBeGreaterThan(0);
});
