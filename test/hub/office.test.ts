/** @file Asking a hub on its own machine: the same answers whether it is running or not. */

import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseInvitation } from '../../core/federation/invitation.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { askHub } from '../../core/hub/ask.ts';
import { initHub } from '../../core/hub/folder.ts';
import { startHub } from '../../core/hub/hub.ts';
import {
  cleanUp,
  createFederation,
  joinSite,
  openFederation,
  smallIdentity,
  smallModel,
  smallPlan,
  temporaryFolder,
} from '../helpers/federation.ts';

afterEach(cleanUp);

async function hubAtRest(urls?: string[]): Promise<string> {
  const folder = temporaryFolder();
  await initHub({ folder, name: 'clinics', urls });
  return folder;
}

describe('a hub that is not running', () => {
  it('invites to the port it will listen on', async () => {
    const folder = await hubAtRest();
    const { invitation } = await askHub(folder, 'invite', { site: 'north' });
    const { urls, federation } = parseInvitation(invitation);
    expect(federation).toBe('clinics');
    const { hub } = await openFederation(folder);
    expect(urls).toEqual([hub.url]);
  });

  it('invites to the addresses it was made with', async () => {
    const folder = await hubAtRest(['wss://hub.example.org/tributary']);
    const { invitation } = await askHub(folder, 'invite', {});
    expect(parseInvitation(invitation).urls).toEqual(['wss://hub.example.org/tributary']);
  });

  it('refuses a plan whose rows are longer than the model takes', async () => {
    const configuration = { ...smallModel, maximumPositions: 128 };
    const request = { plan: smallPlan(), model: smallIdentity, configuration };
    const { maxLength } = request.plan.training;
    await expect(askHub(await hubAtRest(), 'propose', request)).rejects.toMatchObject({
      code: 'plan.invalid',
      message: expect.stringContaining(`training.maxLength is ${maxLength}`) as string,
    });
  });

  it('takes a proposal that sites hear of when it runs', async () => {
    const first = await createFederation();
    const north = await joinSite(first, 'north');
    await first.hub.stop();
    const request = { plan: smallPlan(), model: smallIdentity, configuration: smallModel };
    const { run, planHash } = await askHub(first.folder, 'propose', request);
    const { runs, running } = await askHub(first.folder, 'status', {});
    expect(running).toBe(false);
    expect(runs).toMatchObject([
      {
        id: run,
        state: 'proposed',
        round: null,
        phase: 'approving',
        reason: '0 of the 2 sites needed have approved',
        sites: [
          { name: 'north', state: 'asked', reason: 'has not answered the proposal, not connected yet' },
        ],
      },
    ]);
    await openFederation(first.folder);
    expect(await north.heardOf('proposal')).toMatchObject({ run, planHash });
  });

  it('has nothing to stop', async () => {
    expect(await askHub(await hubAtRest(), 'stop', {})).toEqual({ stopped: false });
  });
});

describe('a running hub', () => {
  it('answers for its folder, which nobody else may take', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north');
    const { sites } = await askHub(federation.folder, 'sites', {});
    expect(sites).toMatchObject([{ name: 'north', connected: true, revoked: null }]);
    await expect(startHub({ folder: federation.folder })).rejects.toMatchObject({ code: 'folder.locked' });
    await expect(initHub({ folder: federation.folder, name: 'x' })).rejects.toMatchObject({
      code: 'folder.locked',
    });
  });

  it('stops when it is told to and lets go of the folder', async () => {
    const federation = await createFederation();
    expect(await askHub(federation.folder, 'stop', {})).toEqual({ stopped: true });
    await federation.hub.stopped;
    expect(await askHub(federation.folder, 'runs', {})).toEqual({ runs: [] });
    await openFederation(federation.folder);
  });

  it('exports a ledger that verifies', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north');
    const out = join(federation.folder, 'ledger.jsonl');
    const { entries } = await askHub(federation.folder, 'ledger', { out });
    expect(await verifyLedger(out)).toMatchObject({ verified: true, entries });
    expect(entries).toBe(3);
  });

  it('writes to a path as the asker means it', async () => {
    const federation = await createFederation();
    const before = process.cwd();
    const asker = realpathSync(temporaryFolder());
    process.chdir(asker);
    const asked = askHub(federation.folder, 'ledger', { out: 'ledger.jsonl' });
    process.chdir(before); // where the hub is by the time it answers
    expect(await asked).toMatchObject({ file: join(asker, 'ledger.jsonl') });
  });

  it('says that its port is taken', async () => {
    const first = await createFederation();
    const folder = await hubAtRest();
    const port = Number(new URL(first.hub.url).port);
    await expect(startHub({ folder, port })).rejects.toMatchObject({ code: 'hub.address-in-use' });
    // Nothing is left behind that keeps it from starting elsewhere.
    await openFederation(folder);
  });
});

describe('a question that makes no sense', () => {
  it.each([
    ['export', { run: 'no-such-run', out: 'x' }, 'run.unknown'],
    ['cancel', { run: 'no-such-run' }, 'run.unknown'],
    ['revoke', { site: 'nobody' }, 'site.unknown'],
    ['revoke', { site: ' ' }, 'usage.invalid'],
    ['invite', { seconds: -5 }, 'usage.invalid'],
  ] as const)('%s %j is answered with %s, running or not', async (command, request, code) => {
    const folder = await hubAtRest();
    await expect(askHub(folder, command, request)).rejects.toMatchObject({ code });
    await openFederation(folder);
    await expect(askHub(folder, command, request)).rejects.toMatchObject({ code });
  });

  it('is one that is asked where no hub is', async () => {
    await expect(askHub(temporaryFolder(), 'status', {})).rejects.toMatchObject({ code: 'hub.not-there' });
  });
});
