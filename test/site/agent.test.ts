/** @file The site agent against a scripted hub: approval, rounds, crashes, reconnects and a hub that cheats. */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { readTensors } from '../../core/federation/codec.ts';
import { verify } from '../../core/federation/identity.ts';
import type { Identity } from '../../core/federation/identity.ts';
import { signRoster } from '../../core/federation/roster.ts';
import type { SignedRoster } from '../../core/federation/roster.ts';
import type { ListenerOptions } from '../../core/hub/listener.ts';
import type { Message } from '../../core/federation/messages.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import {
  approvalStatement,
  countersignStatement,
  updateStatement,
} from '../../core/federation/statements.ts';
import { askSite } from '../../core/site/ask.ts';
import type { Site } from '../../core/site/site.ts';
import { removeFolder } from '../helpers/folders.ts';
import { makePlan, makeSiteFolder, makeTrainer, openScriptedHub, SOFTWARE, start } from '../helpers/site.ts';
import type { FakeTrainer, ScriptedHub } from '../helpers/site.ts';
import { until } from '../helpers/until.ts';

let root: string;
let folder: string;
let hub: ScriptedHub;
let trainer: FakeTrainer;
let site: Site | undefined;
const plan = makePlan();

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tributary-site-'));
  folder = join(root, 'site');
  hub = await openScriptedHub(root);
  await makeSiteFolder(hub, folder);
  trainer = makeTrainer();
});
afterEach(async () => {
  trainer.release();
  await site?.stop();
  site = undefined;
  await hub.listener.close();
  await removeFolder(root);
});

/** The site up and connected with both sockets. */
async function up(standing = true): Promise<Site> {
  if (standing) await ask('approve', { standing: true, dataset: 'notes' });
  const [control, bulk] = [hub.control.length, hub.bulk.length];
  site = await start(folder, trainer);
  await until(() => {
    expect(hub.control.length).toBeGreaterThan(control);
    expect(hub.bulk.length).toBeGreaterThan(bulk);
  });
  return site;
}

const ask: (...request: [Parameters<typeof askSite>[1], object]) => Promise<unknown> = (command, request) =>
  askSite({ folder, software: SOFTWARE }, command, request as never);
const member = () => hub.members[0];
const ledger = { index: 4, hash: 'cd'.repeat(32) };

describe('a proposal', () => {
  it('within the policy is approved at once under a standing approval, signed', async () => {
    await up();
    const { run, planHash } = hub.propose(plan);
    const approval = await hub.message('approval');
    expect(approval).toMatchObject({ run, planHash, examples: 12 });
    expect(verify(member().ed25519, approvalStatement({ run, planHash }), approval.signature)).toBe(true);
    hub.propose(plan);
    await hub.message('approval', 2); // asked again, answered again
  });

  it('waits for a person otherwise, and is answered when that person approves', async () => {
    const running = await up(false);
    const { run, planHash } = hub.propose(plan);
    await until(() => expect(running.status()).toMatchObject({ state: 'awaiting-approval', run }));
    expect(hub.heard.filter(({ type }) => type === 'approval')).toEqual([]);
    expect(await ask('approve', { run, dataset: 'notes' })).toEqual({ planHash });
    await hub.message('approval');
    expect(running.status().state).toBe('ready');
  });

  it('that the policy forbids is declined with the reason, and cannot be approved by hand', async () => {
    const running = await up();
    hub.propose(makePlan({ federation: { minSites: 1 } }));
    const decline = await hub.message('decline');
    expect(decline.code).toBe('policy.min-sites');
    expect(decline.reason).toContain('at least 2');
    expect(running.status().runs[0]).toMatchObject({ state: 'declined', reason: decline.reason });
    await expect(ask('approve', { run: 'clinics-1', dataset: 'notes' })).rejects.toMatchObject({
      code: 'policy.min-sites',
      exitStatus: 3,
    });
  });

  it('is declined while the policy has a field this program does not know', async () => {
    await up();
    writeFileSync(join(folder, 'policy.json'), '{"version":1,"onlyAtNight":true}');
    // Nothing at all may leave under a policy that cannot be read, not even the answer.
    hub.propose(plan);
    expect(await hub.control.at(-1)?.channel.closed).toMatchObject({ code: 'policy.invalid' });
  });

  it('is not what was hashed, or another one than before: declined', async () => {
    await up();
    const proposal = hub.propose(plan);
    await hub.message('approval');
    hub.send({ ...proposal, run: 'clinics-2', planHash: 'ee'.repeat(32) });
    expect((await hub.message('decline')).code).toBe('plan.hash-mismatch');
    hub.propose(makePlan({ seed: 8 }));
    expect((await hub.message('decline', 2)).code).toBe('policy.deviation');
  });

  it('is declined when its dataset has too few rows', async () => {
    await ask('policy', { set: { version: 1, minExamples: 100 } });
    await expect(ask('approve', { standing: true, dataset: 'notes' })).rejects.toMatchObject({
      code: 'policy.examples',
    });
    await up(false);
    hub.propose(plan);
    await expect(ask('approve', { run: 'clinics-1', dataset: 'notes' })).rejects.toThrow('12 examples');
  });
});

describe('a round', () => {
  it('is fetched, trained, sent, acknowledged, closed and countersigned', async () => {
    const running = await up();
    hub.propose(plan);
    await hub.message('approval');
    const { run, base } = await hub.roundStart(plan, 0);
    const update = await hub.message('update');
    expect(trainer.requests[0]).toMatchObject({
      run,
      round: 0,
      seedParts: [7, 0, 'clinic-a'],
      learningRate: 5e-4,
    });
    expect(trainer.requests[0].examples).toHaveLength(12);
    const { blob, examples } = update;
    expect(update).toMatchObject({
      examples: 12,
      loss: 2,
      metrics: { supervisedTokens: 99, skippedRows: 0 },
    });
    expect(
      verify(
        member().ed25519,
        updateStatement({ run, round: 0, hash: blob.hash, examples }),
        update.signature,
      ),
    ).toBe(true);
    expect([...readTensors(hub.blobs.path(blob.hash)).keys()]).toEqual([
      ...readTensors(hub.blobs.path(base.hash)).keys(),
    ]);
    const phases = hub.heard.flatMap((message) => (message.type === 'progress' ? [message.phase] : []));
    expect([...new Set(phases)]).toEqual(['fetching', 'training', 'sending']);
    await until(() =>
      expect(running.status()).toMatchObject({ state: 'working', phase: 'waiting', round: 0 }),
    );

    hub.send({ type: 'update-accepted', run, round: 0, hash: blob.hash, state: 'committed' });
    await until(() => expect(running.status().state).toBe('ready'));
    const aggregate = await hub.publish([9, 9, 9, 9]);
    hub.send({
      type: 'round-closed',
      run,
      round: 0,
      aggregate,
      cohort: ['clinic-a'],
      loss: 2,
      ledgerEntry: ledger,
    });
    const countersigned = await hub.message('countersign');
    expect(verify(member().ed25519, countersignStatement(ledger), countersigned.signature)).toBe(true);
    expect(running.status().leftThisMachine.bytes).toBeGreaterThan(blob.size);
  });

  it('that ends the run brings the adapter, once, and leaves a ledger that verifies', async () => {
    await ask('approve', { standing: true, dataset: 'notes' });
    const saved: number[][] = [];
    site = await start(folder, trainer, {
      saveAdapter: (_run, _plan, tensors) => {
        saved.push([...tensors.values()].map(({ data }) => data[0]));
        return Promise.resolve();
      },
    });
    await until(() => expect(hub.bulk).toHaveLength(1));
    const { run } = hub.propose(plan);
    await hub.message('approval');
    const { blob } = (await hub.roundStart(plan, 0), await hub.message('update'));
    hub.send({ type: 'update-accepted', run, round: 0, hash: blob.hash, state: 'committed' });
    const adapter = await hub.publish([5, 5, 5, 5]);
    for (let time = 0; time < 2; time++)
      hub.send({ type: 'run-ended', run, state: 'completed', reason: '', adapter });
    await until(() => expect(saved).toEqual([[5]]));
    await site.stop();
    const report = await verifyLedger(folder);
    expect(report).toMatchObject({ verified: true, firstBroken: null });
    expect(report.entries).toBe(9); // init, join, import, approval *, plan, approval, round-start, update, run-end
  });

  it('goes on over a broken connection, in whatever phase it breaks', async () => {
    await up();
    hub.propose(plan);
    await hub.message('approval');
    trainer.hold = true;
    const { run, base } = await hub.roundStart(plan, 0);
    await until(() => expect(trainer.requests).toHaveLength(1));
    hub.cut();
    await until(() => expect(hub.control).toHaveLength(2));
    await hub.roundStart(plan, 0); // a hub repeats what a site still owes
    trainer.release();
    const { blob } = await hub.message('update');
    hub.cut(); // the update arrived, its acknowledgement does not
    const again = await hub.message('update', 2);
    expect(again.blob).toEqual(blob);
    expect(base.size).toBeGreaterThan(0);
    hub.send({ type: 'update-accepted', run, round: 0, hash: blob.hash, state: 'duplicate' });
    await until(() => expect(site?.status().state).toBe('ready'));
    expect(trainer.requests).toHaveLength(1);
  });

  it('is given up when the hub begins the next one', async () => {
    await up();
    hub.propose(plan);
    await hub.message('approval');
    trainer.hold = true;
    await hub.roundStart(plan, 0);
    await until(() => expect(trainer.requests).toHaveLength(1));
    await hub.roundStart(plan, 1);
    await until(() => expect(trainer.requests[0].signal.aborted).toBe(true));
    await until(() => expect(trainer.requests).toHaveLength(2));
    trainer.release();
    expect((await hub.message('update')).round).toBe(1);
  });

  it('that was refused is not sent again', async () => {
    const running = await up();
    hub.propose(plan);
    await hub.message('approval');
    const started = await hub.roundStart(plan, 0);
    const { run, blob } = await hub.message('update');
    hub.send({
      type: 'update-refused',
      run,
      round: 0,
      hash: blob.hash,
      code: 'update.not-finite',
      reason: 'NaN at 3.',
    });
    await until(() => expect(running.status().reason).toContain('NaN at 3.'));
    hub.send(started);
    await hub.roundStart(plan, 1);
    expect((await hub.message('update', 2)).round).toBe(1);
  });

  it('whose training fails is tried again', async () => {
    await ask('approve', { standing: true, dataset: 'notes' });
    trainer.failure = new Error('the engine has died');
    const reasons: string[] = [];
    site = await start(folder, trainer, {
      retrySeconds: 0.01,
      onStatus: ({ reason }) => void reasons.push(reason),
    });
    await until(() => expect(hub.bulk).toHaveLength(1));
    hub.propose(plan);
    await hub.message('approval');
    await hub.roundStart(plan, 0);
    await hub.message('update');
    expect(trainer.requests).toHaveLength(2);
    expect(reasons).toContain('the engine has died');
  });

  it('that cannot be trained on these rows is declined at once, until a person approves it again', async () => {
    const running = await up();
    trainer.failure = new TributaryError('data.all-truncated', 'None of the 12 examples fits into 8 tokens.');
    const { run } = hub.propose(plan);
    await hub.message('approval');
    const started = await hub.roundStart(plan, 0);
    const decline = await hub.message('decline');
    expect(decline).toMatchObject({ run, code: 'data.all-truncated' });
    expect(trainer.requests).toHaveLength(1);
    expect(running.status().runs[0]).toMatchObject({ state: 'declined', reason: decline.reason });
    hub.send(started);
    expect(await hub.message('decline', 2)).toMatchObject({
      code: 'policy.no-approval',
      reason: decline.reason,
    });
    await ask('approve', { run, dataset: 'notes' });
    await hub.message('approval', 2);
    hub.send(started);
    expect((await hub.message('update')).run).toBe(run);
  });
});

describe('a site that was killed', () => {
  it('trains an unfinished round again, to the same bytes', async () => {
    await up();
    hub.propose(plan);
    await hub.message('approval');
    trainer.hold = true;
    await hub.roundStart(plan, 0);
    await until(() => expect(trainer.requests).toHaveLength(1));
    await site?.stop();
    trainer = makeTrainer();
    await up(false);
    await hub.roundStart(plan, 0);
    const first = await hub.message('update');
    const other = makeTrainer();
    const expected = await other.train(trainer.requests[0]);
    expect(readTensors(hub.blobs.path(first.blob.hash))).toEqual(expected.adapter);
  });

  it('sends a finished update again and does not train it again', async () => {
    await up();
    hub.propose(plan);
    await hub.message('approval');
    await hub.roundStart(plan, 0);
    const { blob } = await hub.message('update');
    await site?.stop();
    trainer = makeTrainer();
    await up(false);
    await hub.roundStart(plan, 0);
    expect((await hub.message('update', 2)).blob).toEqual(blob);
    expect(trainer.requests).toEqual([]);
  });

  it('counts on what left the machine before', async () => {
    const running = await up();
    hub.propose(plan);
    await hub.message('approval');
    const { bytes } = running.status().leftThisMachine;
    await running.stop();
    expect(bytes).toBeGreaterThan(100);
    expect(await ask('status', {})).toMatchObject({ state: 'stopped' });
    const again = await up(false);
    expect(again.status().leftThisMachine.bytes).toBeGreaterThanOrEqual(bytes);
  });
});

describe('a hub that cheats', () => {
  it.each([
    ['another learning rate', { learningRate: 0.5 }],
    ['more rounds', { rounds: 99 }],
    ['a round beyond the last', { round: 10 }],
  ])('cannot have a site train with %s than the plan says', async (_what, change) => {
    await up();
    hub.propose(plan);
    await hub.message('approval');
    trainer.hold = true;
    const honest = await hub.roundStart(plan, 0);
    await until(() => expect(trainer.requests).toHaveLength(1));
    hub.send({ ...honest, ...change });
    expect((await hub.message('decline')).code).toBe('policy.deviation');
    expect(trainer.requests).toHaveLength(1);
  });

  it('cannot start a run that nobody approved', async () => {
    await up(false);
    hub.propose(plan);
    await hub.roundStart(plan, 0);
    expect((await hub.message('decline')).code).toBe('policy.no-approval');
    expect(trainer.requests).toEqual([]);
  });

  it('gets no signature under a second past', async () => {
    await up();
    hub.propose(plan);
    await hub.message('approval');
    const closed = {
      type: 'round-closed' as const,
      run: 'clinics-1',
      round: 0,
      aggregate: await hub.publish([1]),
      cohort: ['clinic-a'],
      loss: 1,
    } satisfies Partial<Message>;
    hub.send({ ...closed, ledgerEntry: ledger });
    await hub.message('countersign');
    hub.send({ ...closed, ledgerEntry: { index: 4, hash: 'ee'.repeat(32) } });
    expect(await hub.control.at(-1)?.channel.closed).toMatchObject({ code: 'ledger.forked' });
  });

  it('cannot fetch anything but updates', async () => {
    await up();
    hub.propose(plan);
    await hub.message('approval');
    const { base } = await hub.roundStart(plan, 0);
    const { blob } = await hub.message('update');
    const [transfers] = hub.transfers;
    for (const { hash } of [base, blob]) await hub.blobs.remove(hash);
    await expect(transfers.fetch(base)).rejects.toMatchObject({ code: 'transfer.refused' });
    await transfers.fetch(blob);
    expect(hub.blobs.has(blob.hash)).toBe(true);
  });
});

/** The same address with other keys, or with the same ones again. */
async function reopen(changes: Partial<ListenerOptions>, identity?: Identity): Promise<void> {
  const { port } = hub.listener;
  const members = [...hub.members];
  await hub.listener.close();
  hub = await openScriptedHub(root, { port, ...changes }, identity);
  hub.members.push(...members);
}

describe('a hub at the same address', () => {
  it('with another key is not believed', async () => {
    const running = await up();
    await reopen({});
    await until(() => expect(running.status().reason).toContain('does not hold the key'));
    expect(running.status().state).toBe('offline');
  });

  it('with an older list of members than before is not believed', async () => {
    const { identity, members } = hub;
    const old = (): SignedRoster =>
      signRoster(identity.ed25519, { federation: 'clinics', version: 0, entries: members });
    const running = await up();
    await reopen({ roster: old }, identity);
    await until(() => expect(running.status().reason).toContain('version 0'));
  });

  it('that was away is found again', async () => {
    const states: string[] = [];
    site = await start(folder, trainer, { onStatus: ({ state }) => void states.push(state) });
    await until(() => expect(site?.status().state).toBe('idle'));
    const { port } = hub.listener;
    await hub.listener.close();
    await until(() => expect(site?.status().reason).toContain(`No hub answers at ws://127.0.0.1:${port}`));
    await reopen({}, hub.identity);
    await until(() => expect(site?.status()).toMatchObject({ state: 'idle', reason: '' }));
    expect(states).toContain('offline');
  });
});

describe('the process', () => {
  it('holds its folder, answers over its socket and stops when asked', async () => {
    const running = await up();
    await expect(start(folder, trainer)).rejects.toMatchObject({ code: 'folder.locked' });
    expect(await ask('status', {})).toMatchObject({ state: 'idle', site: 'clinic-a', federation: 'clinics' });
    expect(await ask('stop', {})).toEqual({ stopped: true });
    await running.stopped;
    expect(await ask('stop', {})).toEqual({ stopped: false });
  });

  it('stops trying when its membership was revoked', async () => {
    hub.members[0] = { ...hub.members[0], revoked: 5 };
    site = await start(folder, trainer);
    await until(() => expect(site?.status()).toMatchObject({ state: 'revoked' }));
    await until(() => expect(hub.refused).toEqual(['site.revoked', 'site.revoked'])); // once a socket
  });
});
