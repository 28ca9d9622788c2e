/** @file A site's window over its WebSocket, against a real hub: from the welcome to two rounds, stopping, leaving. */

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { serveWindow } from '../../core/bridge/server.ts';
import type { WindowServer } from '../../core/bridge/server.ts';
import { openSiteWindow } from '../../core/bridge/site/window.ts';
import type { SiteWindow, SiteWindowOptions } from '../../core/bridge/site/window.ts';
import { acquireFolderLock } from '../../core/control.ts';
import { TributaryError } from '../../core/errors.ts';
import { readPlan } from '../../core/federation/plan.ts';
import type { Plan } from '../../core/federation/plan.ts';
import type { Hub } from '../../core/hub/hub.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { removeFolder } from '../helpers/folders.ts';
import { makePlan, makeTrainer, start } from '../helpers/site.ts';
import type { FakeTrainer } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';
import { foundFederation } from '../helpers/whole.ts';
import type { WholeFederation } from '../helpers/whole.ts';
import { openTestWindow } from '../helpers/window.ts';
import type { TestWindow } from '../helpers/window.ts';

const PROGRAM = { software: 'tributary test', version: '0', surface: 'browser', secrets: 'file' } as const;
let root: string;
let folder: string;
let trainer: FakeTrainer;
let opened: SiteWindow | undefined;
let server: WindowServer | undefined;
let federation: WholeFederation | undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tributary-window-'));
  folder = join(root, 'river');
  mkdirSync(folder);
  trainer = makeTrainer();
});
afterEach(async () => {
  trainer.release();
  await server?.close();
  await opened?.application.close();
  await federation?.stop();
  [server, opened, federation] = [undefined, undefined, undefined];
  await removeFolder(root);
});

async function open(changes: Partial<SiteWindowOptions> = {}): Promise<TestWindow> {
  opened = await openSiteWindow({
    folder,
    program: PROGRAM,
    start: () =>
      start(folder, trainer, {
        ...{ resident: true, retrySeconds: 0.01 },
        machinePolicy: changes.machine?.policy,
      }),
    ...changes,
  });
  server = await serveWindow({ dispatcher: opened.dispatcher, pages: root });
  return openTestWindow(server);
}

/** Connects a table of twelve rows the way the Data screen does. */
async function connect(window: TestWindow): Promise<void> {
  const path = join(root, 'letters.csv');
  const rows = Array.from({ length: 12 }, (_, row) => `Question ${row}?,Answer ${row}.`);
  writeFileSync(path, ['question,answer', ...rows].join('\n'));
  const { guess } = await window.ask('data.inspect', { path });
  if (guess === null) throw new Error('no mapping was guessed');
  const { task } = await window.ask('data.import', { path, mapping: guess.mapping, name: 'letters' });
  await window.event('task', (one) => one.task === task && one.state === 'done');
}

/** A window whose site has joined a hub with one other site and has data. */
async function joined(): Promise<{ window: TestWindow; hub: Hub }> {
  federation = await foundFederation(root, { north: makeTrainer() });
  const window = await open();
  const hub = federation.hub();
  const { invitation } = await hub.ask('invite', {});
  await window.ask('federation.join', { invitation, name: 'river' });
  await connect(window);
  return { window, hub };
}

/** The same, with a run of two rounds that is proposed to it. */
async function proposed(): Promise<{ window: TestWindow; run: string }> {
  const { window } = await joined();
  const plan = makePlan({ federation: { rounds: 2, minSites: 2 } });
  const run = (await federation?.propose(pinned(plan))) ?? '';
  await window.event('status', ({ role, status }) => role === 'site' && status.run === run);
  return { window, run };
}

/** Names the tiny model by the hash that it has. */
function pinned(plan: Plan): Plan {
  return { ...plan, model: { id: 'tiny', sha256: openTiny().identity.sha256 } };
}

const stateOf = async (window: TestWindow) => (await window.ask('runs.list', {})).runs[0]?.state;

it('goes from the welcome over data and a decision to two rounds, seen step by step, and leaves', async () => {
  federation = await foundFederation(root, { north: makeTrainer() });
  const window = await open();
  expect(await window.ask('app.state', {})).toMatchObject({ role: 'site', stage: 'welcome', problems: [] });
  const { invitation } = await federation.hub().ask('invite', {});
  const read = await window.ask('invitation.read', { invitation });
  expect(read).toMatchObject({ federation: 'clinics', expired: false, refused: null });
  expect(await window.ask('federation.join', { invitation, name: 'river' })).toMatchObject({
    fingerprint: read.fingerprint,
  });
  expect(await window.event('changed')).toEqual({ what: 'stage' });
  expect(await window.ask('app.state', {})).toMatchObject({ stage: 'member', federation: 'clinics' });
  await connect(window);

  const run = await federation.propose(pinned(makePlan({ federation: { rounds: 2, minSites: 2 } })));
  await window.event('status', ({ role, status }) => role === 'site' && status.run === run);
  const plan = await window.ask('runs.plan', { run });
  expect(plan).toMatchObject({ refused: null, missing: null, run: { state: 'proposed', rounds: 2 } });
  expect(plan.datasets).toEqual([{ name: 'letters', rows: 12, refused: null }]);
  // On answers nothing is told of pairs, and without held-out rows there are no scores.
  const metrics = ['supervisedTokens', 'skippedRows'];
  expect(plan.leaves.map(({ what }) => what)).toEqual(['updates', 'numbers', 'progress']);
  expect(plan.leaves).toContainEqual({ what: 'numbers', of: 'examples', metrics });
  await window.ask('runs.approve', { run, dataset: 'letters' });
  await until(async () => expect(await stateOf(window)).toBe('completed'));

  const steps = window.heard('series').flatMap((point) => (point.kind === 'step' ? [point] : []));
  expect(steps.map(({ round, step }) => [round, step])).toEqual([
    [0, 1],
    [0, 2],
    [1, 3],
    [1, 4],
  ]);
  // What became of each update is told as well, also of the last one.
  const outcomes = () =>
    window.heard('series').flatMap((told) => (told.kind === 'round' ? [[told.round, told.state]] : []));
  await until(() => expect(Object.fromEntries(outcomes())).toEqual({ 0: 'committed', 1: 'committed' }));
  const { rounds, roundsTotal } = await window.ask('runs.series', { run });
  expect([rounds.map(({ state }) => state), roundsTotal]).toEqual([['committed', 'committed'], 2]);
  const status = await window.ask('federation.status', {});
  expect(status.leftThisMachine.kinds.updates).toBeGreaterThan(0);
  expect(status.members.map(({ name, self }) => [name, self])).toContainEqual(['river', true]);
  expect(await window.ask('ledger.verify', {})).toMatchObject({ verified: true });
  const out = join(root, 'ledger.jsonl');
  expect(await window.ask('ledger.export', { path: out })).toMatchObject({ path: out });
  expect((await window.ask('diagnostics.read', {})).text).not.toContain('Question');

  const before = status.siteFingerprint;
  expect(await window.ask('federation.rotate-keys', {})).toEqual({ pending: false });
  const rotated = await window.ask('federation.status', {});
  expect(rotated.siteFingerprint).not.toBe(before);
  expect(rotated.hubFingerprint).toBe(read.fingerprint);
  const { sites } = await federation.hub().ask('sites', {});
  expect(sites.find(({ name }) => name === 'river')?.fingerprint).toBe(rotated.siteFingerprint);

  expect(await window.ask('federation.leave', {})).toEqual({ federation: 'clinics' });
  expect(await window.ask('app.state', {})).toMatchObject({ stage: 'welcome' });
}, 120_000);

it('measures a plan that no policy covers only after a person has said so, and tells the hub a no with its reason', async () => {
  const figures = { secondsPerStep: 1, tokensPerSecond: 100, memory: 5e8, memoryLimit: 1e9 };
  trainer = Object.assign(trainer, {
    rehearse: () => Promise.resolve({ ...figures, precision: 'f32', device: 'cpu' }),
  });
  const { window, hub } = await joined();
  const plan = readPlan(
    JSON.stringify({
      ...{ name: 'Ward', model: 'tiny', adapter: { rank: 2 }, personal: { steps: 7 } },
      federation: { rounds: 2, minSites: 2, late: { discount: 0.25 } },
    }),
  );
  const rehearse = async (): Promise<string> => {
    const model = { id: 'tiny', sha256: openTiny().identity.sha256 };
    const request = { plan, model, configuration: TINY_CONFIGURATION };
    const { rehearsal } = await hub.ask('rehearse', request);
    await window.event(
      'status',
      ({ role, status }) => role === 'site' && status.rehearsals.includes(rehearsal),
    );
    return rehearsal;
  };
  const heard = async (rehearsal: string) =>
    (await hub.ask('rehearsal', { rehearsal })).sites.find(({ name }) => name === 'river');

  const first = await rehearse();
  const { rehearsals } = await window.ask('rehearsals.list', {});
  expect(rehearsals).toMatchObject([{ id: first, name: 'Ward', steps: 3, missing: null }]);
  expect(rehearsals[0].datasets).toEqual([{ name: 'letters', rows: 12, refused: null }]);
  expect(rehearsals[0].lines).toEqual(
    expect.arrayContaining([
      { field: 'late', value: '0.25' },
      { field: 'personal', value: '7' },
    ]),
  );
  await window.ask('rehearsals.approve', { rehearsal: first, dataset: 'letters' });
  await until(async () => expect(await heard(first)).toMatchObject({ state: 'measured', examples: 12 }));
  expect((await window.ask('rehearsals.list', {})).rehearsals).toEqual([]);

  const second = await rehearse();
  await window.ask('rehearsals.decline', { rehearsal: second, reason: ' Not before Monday. ' });
  await until(async () =>
    expect(await heard(second)).toMatchObject({ state: 'refused', reason: 'Not before Monday.' }),
  );
  await expect(window.ask('rehearsals.decline', { rehearsal: second })).rejects.toMatchObject({
    code: 'site.unknown-run',
  });
}, 120_000);

it('pauses a run within a round, says so to every window, and goes on to its end', async () => {
  trainer.hold = true;
  const { window, run } = await proposed();
  await window.ask('runs.approve', { run, dataset: 'letters' });
  await window.event('status', ({ role, status }) => role === 'site' && status.phase === 'training');
  await window.ask('runs.stop', { run, how: 'finish-round' });
  expect((await window.ask('runs.list', {})).runs[0]).toMatchObject({ state: 'approved', finishing: true });
  await window.ask('runs.stop', { run, how: 'save' });
  expect(await stateOf(window)).toBe('paused');
  await window.event('changed', ({ what }) => what === 'runs');
  trainer.release();
  await window.ask('runs.resume', { run });
  await until(async () => expect(await stateOf(window)).toBe('completed'));
}, 120_000);

it('declines with a reason that the hub reads, and may be approved after all', async () => {
  const { window, run } = await proposed();
  await window.ask('runs.decline', { run, reason: ' Not before May. ' });
  expect(await stateOf(window)).toBe('declined');
  const event = () => federation?.events.find(({ type }) => type === 'declined');
  await until(() => expect(event()).toMatchObject({ site: 'river', reason: 'Not before May.' }));
  await window.ask('runs.approve', { run, dataset: 'letters' });
  await until(async () => expect(await stateOf(window)).toBe('completed'));
}, 120_000);

it('tells of a training that failed, once, and goes on', async () => {
  const { window, run } = await proposed();
  trainer.failure = new TributaryError('engine.crashed', 'The training process ended unexpectedly.');
  await window.ask('runs.approve', { run, dataset: 'letters' });
  const problem = await window.event('problem');
  expect(problem).toMatchObject({
    code: 'engine.crashed',
    hint: expect.not.stringContaining('--') as string,
  });
  await until(async () => expect(await stateOf(window)).toBe('completed'));
  expect(window.heard('problem')).toHaveLength(1);
}, 120_000);

it('measures three steps in a process of its own before anything is decided', async () => {
  const { window, run } = await proposed();
  const before = (await window.ask('runs.plan', { run })).fit;
  expect(before).toMatchObject({ secondsRound: null, secondsFrom: null });
  const { task } = await window.ask('runs.measure', { run });
  const ended = await window.event('task', (one) => one.task === task && one.state !== 'running');
  expect(ended).toMatchObject({ kind: 'measure', state: 'done', done: 3 });
  const { fit } = await window.ask('runs.plan', { run });
  expect(fit).toMatchObject({ secondsFrom: 'probe' });
  expect(fit.secondsRound).toBeGreaterThan(0);
  expect(fit.memoryNeeded).not.toBe(before.memoryNeeded);
  expect(trainer.requests).toEqual([]);
}, 120_000);

it('says why a folder cannot be used, and opens it once that is over', async () => {
  const lock = acquireFolderLock(folder);
  const window = await open();
  expect(await window.ask('app.state', {})).toMatchObject({
    stage: 'blocked',
    problems: [{ code: 'folder.locked' }],
  });
  await expect(window.ask('runs.list', {})).rejects.toMatchObject({ code: 'folder.locked' });
  lock.release();
  await window.ask('app.retry', {});
  expect(await window.ask('app.state', {})).toMatchObject({ stage: 'welcome', problems: [] });
});

it('keeps what was chosen, and what the owner of the machine has set for all', async () => {
  const [settings, policy] = [join(root, 'settings.json'), join(root, 'policy.json')];
  writeFileSync(settings, JSON.stringify({ updates: false, updateFeed: 'https://updates.example.org' }));
  writeFileSync(policy, JSON.stringify({ version: 1, hubs: ['wss://hub.example.org'], maxRounds: 5 }));
  federation = await foundFederation(root, { north: makeTrainer() });
  const window = await open({ machine: { settings, policy } });
  await window.ask('settings.set', { settings: { theme: 'dark', threads: 2 } });
  expect(JSON.parse(readFileSync(join(folder, 'settings.json'), 'utf8'))).toEqual({
    theme: 'dark',
    threads: 2,
  });
  expect(await window.ask('settings.get', {})).toMatchObject({
    settings: { theme: 'dark', updateFeed: 'https://updates.example.org' },
    fixed: ['updates', 'updateFeed'],
  });
  const password = 'only the proxy learns it';
  const kept = await window.ask('settings.proxyPassword', { password });
  expect(kept.hasProxyPassword).toBe(true);
  const told = [kept, await window.ask('app.state', {}), await window.ask('diagnostics.read', {})];
  expect(JSON.stringify(told)).not.toContain(password);
  expect(statSync(join(folder, 'proxy.password')).mode & 0o777).toBe(0o600);
  expect((await window.ask('settings.proxyPassword', { password: null })).hasProxyPassword).toBe(false);
  const credentials = { proxyAddress: 'http://anna:secret@proxy.example.org:3128' };
  await expect(window.ask('settings.set', { settings: credentials })).rejects.toMatchObject({
    code: 'bridge.bad-input',
  });
  await expect(window.ask('settings.set', { settings: { updates: true } })).rejects.toMatchObject({
    code: 'settings.fixed',
  });

  const { invitation } = await federation.hub().ask('invite', {});
  const { refused } = await window.ask('invitation.read', { invitation });
  expect(refused).toMatchObject({ code: 'policy.hub' });
  await expect(window.ask('federation.join', { invitation, name: 'river' })).rejects.toMatchObject({
    code: 'policy.hub',
  });
  await window.ask('privacy.setPolicy', { policy: { version: 1, maxRounds: 50 } });
  expect(await window.ask('privacy.policy', {})).toMatchObject({
    policy: { maxRounds: 50, hubs: null },
    machine: { maxRounds: 5 },
    machinePath: policy,
  });
}, 60_000);
