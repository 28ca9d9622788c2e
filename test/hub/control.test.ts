/** @file Holding a run, letting it go on, and giving it more time or more rounds. */

import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { openPlan } from '../../core/federation/plan.ts';
import { learningRateOfRound } from '../../core/federation/schedule.ts';
import { askHub } from '../../core/hub/ask.ts';
import { cleanUp, createFederation, joinSite, openFederation, smallPlan } from '../helpers/federation.ts';
import type { Script } from '../helpers/federation.ts';
import { until } from '../helpers/until.ts';

afterEach(cleanUp);

/** Says no to an amended plan. */
const content: Script = {
  on: (message, site) => {
    if (message.type !== 'amendment') return true;
    const { run, planHash } = message;
    site.control().send({ type: 'decline', run, planHash, code: 'policy.rounds', reason: 'Enough.' });
    return false;
  },
};

describe('a paused run', () => {
  it('finishes its round, opens no other, survives a restart and goes on where it was', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north');
    await joinSite(federation, 'south');
    let hold = true;
    await joinSite(federation, 'west', {
      on: async (message) => {
        if (message.type === 'round-start' && hold) {
          hold = false;
          await federation.hub.ask('pause', { run: message.run, reason: 'holidays' });
        }
        return true;
      },
    });
    const { run } = await federation.propose(smallPlan({ minSites: 3 }));
    expect(await north.heardOf('run-notice')).toMatchObject({
      kind: 'paused',
      run,
      reason: `The coordinator has paused ${run} after the round under way: holidays`,
    });
    await federation.event('round');
    await until(async () =>
      expect(await federation.status()).toMatchObject({
        state: 'paused',
        phase: 'holding',
        round: 0,
        reason: 'paused: holidays',
      }),
    );
    await federation.hub.stop();
    expect((await askHub(federation.folder, 'status', {})).runs[0].state).toBe('paused');

    const again = await openFederation(federation.folder);
    await until(async () => {
      const { sites } = await again.status();
      expect(sites.map(({ state, reason }) => [state, reason])).toEqual(
        sites.map(() => ['approved', 'waiting for the run to be resumed']),
      );
    });
    expect(north.heard.filter(({ type }) => type === 'round-start')).toHaveLength(1);
    expect(again.events.filter(({ type }) => type === 'round')).toEqual([]);
    await again.hub.ask('resume', { run });
    await again.event('ended', ({ state }) => state === 'completed');
    expect((await again.status()).history).toHaveLength(3);
    await expect(again.hub.ask('resume', { run })).rejects.toMatchObject({ code: 'run.not-open' });
    expect(await verifyLedger(federation.folder)).toMatchObject({ verified: true });
  });

  it('does not start either, and is no paused run twice resumed', async () => {
    const federation = await createFederation();
    const { run } = await federation.propose();
    expect(await federation.hub.ask('pause', { run, reason: 'holidays' })).toEqual({ run, begun: false });
    const north = await joinSite(federation, 'north');
    await joinSite(federation, 'south');
    await federation.event('approved', ({ site }) => site === 'south');
    expect(await north.heardOf('run-notice')).toMatchObject({
      reason: `The coordinator has paused ${run} before its first round: holidays`,
    });
    expect(await federation.status()).toMatchObject({ state: 'paused', phase: 'holding' });
    expect(north.heard.filter(({ type }) => type === 'round-start')).toEqual([]);
    await federation.hub.ask('resume', { run });
    await expect(federation.hub.ask('resume', { run })).rejects.toMatchObject({ code: 'run.not-paused' });
    await federation.event('ended', ({ state }) => state === 'completed');
  });
});

describe('an extension', () => {
  it('of the deadline counts at once and asks nobody', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north', { on: ({ type }) => type !== 'round-start' });
    const south = await joinSite(federation, 'south');
    const { run } = await federation.propose(smallPlan({ deadline: '1h' }));
    await federation.event('update');
    const ask = (deadline: number) => federation.hub.ask('extend', { run, deadline });
    await expect(ask(60)).rejects.toMatchObject({ code: 'plan.invalid' });
    expect(await ask(7200)).toEqual({ run, planHash: null });
    const { secondsLeft } = await federation.status();
    expect(secondsLeft).toBeGreaterThan(7000);
    expect(south.heard.some(({ type }) => type === 'amendment')).toBe(false);
  });

  it('by rounds is approved by its own hash, and only its own rounds follow it', async () => {
    const federation = await createFederation();
    let extended: Promise<{ planHash: string | null }> | undefined;
    const north = await joinSite(federation, 'north', {
      on: async (message) => {
        if (message.type === 'round-start' && message.round === 1) {
          extended ??= federation.hub.ask('extend', { run: message.run, rounds: 5 });
          await extended;
        }
        return true;
      },
    });
    await joinSite(federation, 'south');
    const { run, planHash } = await federation.propose();
    await federation.event('ended', ({ state }) => state === 'completed');
    const amendment = await north.heardOf('amendment');
    expect(amendment).toMatchObject({ run, amends: planHash, planHash: (await extended)?.planHash });
    expect(openPlan(amendment.plan, amendment.planHash).federation.rounds).toBe(5);
    const starts = north.heard.flatMap((message) => (message.type === 'round-start' ? [message] : []));
    const { training } = smallPlan();
    expect(starts.map(({ rounds, learningRate }) => [rounds, learningRate])).toEqual(
      [3, 3, 3, 5, 5].map((rounds, round) => [rounds, learningRateOfRound(training, round, rounds)]),
    );
    const status = await federation.status();
    expect(status).toMatchObject({ rounds: 5, planHash: amendment.planHash });
    const out = join(federation.folder, 'ledger.jsonl');
    await federation.hub.ask('ledger', { out });
    expect(await verifyLedger(out)).toMatchObject({ verified: true });
  });

  it('that too few sites want leaves the run as it was', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north', content);
    await joinSite(federation, 'south');
    const { run } = await federation.propose();
    await federation.hub.ask('extend', { run, rounds: 9 });
    await federation.event('ended', ({ state }) => state === 'completed');
    expect((await federation.status()).history).toHaveLength(3);
    await expect(federation.hub.ask('extend', { run, rounds: 9 })).rejects.toMatchObject({
      code: 'run.not-open',
    });
  });

  it('holds the run after its last round while sites have yet to answer, and leaves out who declined', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north', content);
    await joinSite(federation, 'south');
    const west = await joinSite(federation, 'west', { on: ({ type }) => type !== 'amendment' });
    let extended: Promise<unknown> | undefined;
    await joinSite(federation, 'east', {
      on: async (message) => {
        if (message.type === 'amendment') return false;
        if (message.type !== 'round-start') return true;
        extended ??= federation.hub.ask('extend', { run: message.run, rounds: 2 });
        await extended;
        return true;
      },
    });
    await federation.propose(smallPlan({ rounds: 1, minSites: 2, minApprovals: 4 }));
    const amendment = await west.heardOf('amendment');
    await federation.event('round');
    expect(await federation.status()).toMatchObject({
      state: 'running',
      phase: 'holding',
      reason: 'waiting for sites to approve the plan with more rounds',
    });
    expect((await federation.status()).sites.map(({ name, reason }) => [name, reason])).toEqual([
      ['east', 'has not answered the plan with more rounds'],
      ['north', 'declined more rounds: Enough.'],
      ['south', 'has approved more rounds'],
      ['west', 'has not answered the plan with more rounds'],
    ]);
    west.approve(amendment);
    await federation.event('ended', ({ state }) => state === 'completed');
    const cohorts = federation.events.flatMap((event) => (event.type === 'round' ? [event.cohort] : []));
    expect(cohorts).toEqual([
      ['east', 'north', 'south', 'west'],
      ['south', 'west'],
    ]);
  });

  it('must be longer', async () => {
    const federation = await createFederation();
    const { run } = await federation.propose();
    await expect(federation.hub.ask('extend', { run, rounds: 3 })).rejects.toThrow(/federation\.rounds is 3/);
    await expect(federation.hub.ask('extend', { run })).rejects.toMatchObject({ code: 'usage.invalid' });
  });
});
