/** @file Rounds that ask some of a run's sites, sites that are excluded, and runs that nobody takes part in. */

import { afterEach, describe, expect, it } from 'vitest';
import { drawCohort } from '../../core/federation/cohort.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { cleanUp, createFederation, joinSite, smallPlan } from '../helpers/federation.ts';
import type { FakeSite, Script, TestFederation } from '../helpers/federation.ts';

afterEach(cleanUp);

const names = ['east', 'north', 'south', 'west'];
const federationOf = { minSites: 2, minApprovals: 4, cohort: { sites: 2 } };
const drawnFor = (round: number): string[] =>
  drawCohort(names, { seed: 3, federation: federationOf }, round) ?? [];

async function joinAll(
  federation: TestFederation,
  script: (name: string) => Script = () => ({}),
): Promise<Map<string, FakeSite>> {
  const sites = new Map<string, FakeSite>();
  for (const name of names) sites.set(name, await joinSite(federation, name, script(name)));
  return sites;
}

function poisoned(base: NamedTensors): NamedTensors {
  const [[name, { shape, data }]] = base;
  return new Map(base).set(name, { shape, data: data.with(0, NaN) });
}

describe('a cohort', () => {
  it('is drawn for each round, and the others are told and have nothing to do', async () => {
    const federation = await createFederation();
    const sites = await joinAll(federation);
    await federation.propose(smallPlan(federationOf));
    await federation.event('ended', ({ state }) => state === 'completed');
    const cohorts = federation.events.flatMap((event) => (event.type === 'round' ? [event.cohort] : []));
    expect(cohorts).toEqual([0, 1, 2].map(drawnFor));
    expect(new Set(cohorts.flat()).size).toBeGreaterThan(2);
    for (const [name, site] of sites) {
      await site.heardOf('run-ended');
      const { heard } = site;
      const told = (type: string) =>
        heard.flatMap((message) => (message.type === type && 'round' in message ? [message.round] : []));
      const rounds = [0, 1, 2].filter((round) => drawnFor(round).includes(name));
      expect(told('round-start')).toEqual(rounds);
      expect(told('run-notice')).toEqual([0, 1, 2].filter((round) => !rounds.includes(round)));
      expect(told('round-closed')).toEqual([0, 1, 2]);
    }
  });

  it('says in the status who was not drawn, and refuses an update of such a site', async () => {
    const federation = await createFederation();
    const sites = await joinAll(federation, () => ({ on: ({ type }) => type !== 'round-start' }));
    const { run } = await federation.propose(smallPlan(federationOf));
    const [drawn] = drawnFor(0);
    const idle = names.find((name) => !drawnFor(0).includes(name)) ?? '';
    const start = await sites.get(drawn)?.heardOf('round-start');
    const notice = await sites.get(idle)?.heardOf('run-notice');
    expect(notice).toMatchObject({ run, round: 0, kind: 'not-drawn' });
    const { sites: shown } = await federation.status();
    expect(shown.find(({ name }) => name === idle)).toMatchObject({
      state: 'not-drawn',
      reason: 'the round asks other sites, drawn by lot',
      connected: true,
    });
    const site = sites.get(idle);
    if (start === undefined || site === undefined) throw new Error('no site');
    site.control().send(await site.update(start, await site.base(start)));
    expect((await site.heardOf('update-refused')).code).toBe('update.not-asked');
  });

  it('calls upon a site that was not drawn where one that was drops out', async () => {
    const federation = await createFederation();
    const [unwilling, willing] = drawnFor(0);
    await joinAll(federation, (name) => ({
      on: (message, site) => {
        if (message.type !== 'round-start' || message.round !== 0 || name !== unwilling) return true;
        const planHash = site.heard.find((other) => other.type === 'proposal')?.planHash ?? '';
        const why = { code: 'data.empty', reason: 'No rows.' };
        site.control().send({ type: 'decline', run: message.run, planHash, ...why });
        return false;
      },
    }));
    await federation.propose(smallPlan(federationOf));
    const { cohort } = await federation.event('round');
    expect(cohort).toHaveLength(2);
    expect(cohort).toContain(willing);
    expect(cohort).not.toContain(unwilling);
    await federation.event('ended', ({ state }) => state === 'completed');
  });
});

describe('a site whose updates are refused round after round', () => {
  it('is excluded with the reason while the run goes on, and comes back when it approves again', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north');
    await joinSite(federation, 'south');
    const west = await joinSite(federation, 'west', {
      train: (base, { round }) => (round < 3 ? poisoned(base) : base),
      on: (message, site) => {
        if (message.type !== 'run-notice') return true;
        const proposal = site.heard.find((other) => other.type === 'proposal');
        if (proposal) void site.approve(proposal);
        return true;
      },
    });
    await federation.propose(smallPlan({ rounds: 6, minSites: 2 }));
    const excluded = await federation.event('excluded');
    expect(excluded).toMatchObject({ site: 'west' });
    expect(excluded.reason).toMatch(/3 rounds were refused, the last one because: .* holds NaN/);
    expect(await west.heardOf('run-notice')).toMatchObject({ kind: 'excluded' });
    await federation.event('ended', ({ state }) => state === 'completed');
    const cohorts = federation.events.flatMap((event) => (event.type === 'round' ? [event.cohort] : []));
    expect(cohorts.slice(0, 3).flat()).not.toContain('west');
    expect(cohorts.at(-1)).toContain('west');
  });
});

describe('a run that nobody takes part in', () => {
  const declining = (reason: string): Script => ({
    on: (message, site) => {
      if (message.type !== 'proposal') return true;
      const { run, planHash } = message;
      site.control().send({ type: 'decline', run, planHash, code: 'policy.rounds', reason });
      return false;
    },
  });

  it('fails at once and says what each site said', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north', declining('Too many rounds.'));
    await joinSite(federation, 'south', declining('Not this model.'));
    await federation.propose(smallPlan({ deadline: '30d' }));
    expect(await federation.event('ended')).toMatchObject({
      state: 'failed',
      reason: 'every site has declined; north: Too many rounds.; south: Not this model.',
    });
  });

  it('waits as long as one site can still approve', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north', declining('Too many rounds.'));
    await joinSite(federation, 'south');
    await federation.propose();
    await federation.event('declined');
    await federation.event('approved');
    expect(await federation.status()).toMatchObject({
      state: 'proposed',
      reason: '1 of the 2 sites needed have approved; declined by north',
    });
  });

  it('fails at once when all of them withdraw during a round', async () => {
    const federation = await createFederation();
    const withdrawing: Script = {
      on: (message, site) => {
        if (message.type !== 'round-start') return true;
        const planHash = site.heard.find((other) => other.type === 'proposal')?.planHash ?? '';
        const why = { code: 'data.empty', reason: 'No rows.' };
        site.control().send({ type: 'decline', run: message.run, planHash, ...why });
        return false;
      },
    };
    await joinSite(federation, 'north', withdrawing);
    await joinSite(federation, 'south', withdrawing);
    await federation.propose(smallPlan({ deadline: '30d' }));
    const { state, reason } = await federation.event('ended');
    expect([state, reason]).toEqual([
      'failed',
      'no site takes part any more; north: No rows.; south: No rows.',
    ]);
  });
});
