/** @file Sites that disappear: waited for until the deadline, welcome back within the round, never in the way. */

import { afterEach, describe, expect, it } from 'vitest';
import { askHub } from '../../core/hub/ask.ts';
import { runStatuses } from '../../core/hub/status.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { cleanUp, createFederation, joinSite, openFederation, smallPlan } from '../helpers/federation.ts';
import type { Script } from '../helpers/federation.ts';

afterEach(cleanUp);

/** Never answers a round. */
const silent: Script = { on: (message) => message.type !== 'round-start' };

describe('a site that says nothing', () => {
  it('is waited for until the deadline; then the round closes without it', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north');
    await joinSite(federation, 'south');
    const west = await joinSite(federation, 'west', silent);
    await federation.propose(smallPlan({ rounds: 1, deadline: '3s' }));
    await west.heardOf('round-start');
    await federation.event('update', ({ site }) => site === 'south');
    await federation.event('update', ({ site }) => site === 'north');
    const before = await federation.status();
    expect(before).toMatchObject({ state: 'running', reason: 'waiting for west' });
    expect(before.sites.find(({ name }) => name === 'west')).toMatchObject({ state: 'approved' });
    const { cohort, seconds } = await federation.event('round');
    expect(cohort).toEqual(['north', 'south']);
    expect(seconds).toBeGreaterThanOrEqual(3);
  });

  it('keeps the round open past the deadline while too few have sent, with a reason for each site', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north');
    const south = await joinSite(federation, 'south', silent);
    await federation.propose(smallPlan({ rounds: 1, deadline: '1s' }));
    const start = await south.heardOf('round-start');
    await federation.event('update', ({ site }) => site === 'north');
    let status = await federation.status();
    while (status.phase !== 'waiting') {
      await new Promise((resolve) => setTimeout(resolve, 50));
      status = await federation.status();
    }
    expect(status).toMatchObject({ state: 'running', reason: 'past the deadline, still waiting for south' });
    south.drop();
    await federation.event('disconnected', ({ site }) => site === 'south');
    const { sites } = await federation.status();
    expect(sites.find(({ name }) => name === 'south')).toMatchObject({
      state: 'away',
      reason: expect.stringMatching(/^not connected for \d+ s$/) as string,
    });
    await south.connect();
    await south.submit(start, await south.base(start));
    expect((await federation.event('round')).cohort).toEqual(['north', 'south']);
  });

  it('is spoken of as of one moment, whenever the deadline passes', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north');
    await joinSite(federation, 'south', silent);
    await federation.propose(smallPlan({ rounds: 1, deadline: '1h' }));
    await federation.event('update', ({ site }) => site === 'north');
    let seconds = 0;
    // Half an hour and a little passes between two looks at the clock.
    const hasty = { seconds: () => (seconds += 2000), tick: () => undefined, save: () => undefined };
    const statuses = () => runStatuses(federation.hub.context, hasty)[0];
    expect(statuses()).toMatchObject({ phase: 'collecting', reason: 'waiting for south', secondsLeft: 1600 });
    expect(statuses()).toMatchObject({
      phase: 'waiting',
      reason: 'past the deadline, still waiting for south',
      secondsLeft: 0,
    });
  });
});

it('a site that comes back within the round is told to start it again', async () => {
  const federation = await createFederation();
  await joinSite(federation, 'north');
  const south = await joinSite(federation, 'south', {
    // The first start of round 1 is lost in a crash of the site.
    on: (message, site) => {
      if (message.type !== 'round-start' || message.round !== 1) return true;
      if (site.heard.filter((other) => other.type === 'round-start' && other.round === 1).length > 1)
        return true;
      site.control().close();
      return false;
    },
  });
  await federation.propose();
  await federation.event('ended', ({ state }) => state === 'completed');
  const starts = south.heard.filter((message) => message.type === 'round-start' && message.round === 1);
  expect(starts.length).toBeGreaterThanOrEqual(2);
  const cohorts = federation.events.flatMap((event) => (event.type === 'round' ? [event.cohort] : []));
  expect(cohorts).toEqual(Array.from({ length: 3 }, () => ['north', 'south']));
});

it('a site that was away when the run ended hears of it when it is back', async () => {
  const federation = await createFederation();
  await joinSite(federation, 'north');
  const south = await joinSite(federation, 'south', {
    on: (message, site) => {
      if (message.type === 'update-accepted' && message.round === 2) site.drop();
      return true;
    },
  });
  await federation.propose();
  await federation.event('ended');
  await south.connect();
  const ended = await south.heardOf('run-ended');
  const closed = await south.heardOf('round-closed', ({ round }) => round === 2);
  expect(ended.adapter).toEqual(closed.aggregate);
  await south.bulk().fetch(closed.aggregate);
});

it('a revoked site is not waited for, and with too few sites left the run fails at the deadline', async () => {
  const federation = await createFederation();
  const north = await joinSite(federation, 'north');
  await joinSite(federation, 'south', silent);
  await federation.propose(smallPlan({ rounds: 1, deadline: '1s' }));
  await federation.event('update', ({ site }) => site === 'north');
  await federation.hub.ask('revoke', { site: 'south' });
  const ended = await federation.event('ended');
  expect(ended).toMatchObject({
    state: 'failed',
    reason: '2 sites are needed and 1 are left that can send an update',
  });
  expect(await north.heardOf('run-ended')).toMatchObject({ state: 'failed', adapter: null });
  expect(await verifyLedger(federation.folder)).toMatchObject({ verified: true });
});

it('the deadline stands still while the hub is down', async () => {
  const federation = await createFederation();
  await joinSite(federation, 'north');
  await joinSite(federation, 'south', silent);
  await federation.propose(smallPlan({ deadline: '1h' }));
  await federation.event('update', ({ site }) => site === 'north');
  await federation.hub.stop();
  const { runs } = await askHub(federation.folder, 'status', {});
  const left = runs[0].secondsLeft ?? 0;
  expect(left).toBeLessThan(3600);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const again = await openFederation(federation.folder);
  const status = await again.status();
  expect(left - (status.secondsLeft ?? 0)).toBeLessThan(0.25);
  expect(status).toMatchObject({ state: 'running', round: 0, reason: 'waiting for south' });
});
