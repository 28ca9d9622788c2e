/** @file The table of phases: when a round waits, closes or fails. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PHASES } from '../../core/hub/rounds.ts';
import type { RoundSite, RoundView } from '../../core/hub/rounds.ts';
import { TRANSITIONS } from '../../core/hub/store.ts';

const site = (name: string, state: RoundSite['state']): RoundSite => ({ name, state });
const viewOf = (view: Partial<RoundView>): RoundView => ({
  sites: [],
  spare: [],
  declined: [],
  mayReturn: false,
  minSites: 2,
  seconds: 10,
  deadline: 60,
  unscored: [],
  after: 'round',
  paused: null,
  ...view,
});
const decide = (sites: RoundSite[], view: Partial<RoundView> = {}) =>
  PHASES.collecting.decide(viewOf({ sites, ...view }));

describe('collecting', () => {
  it('closes when everyone has sent, with the cohort in the order of the names', () => {
    const sites = [site('south', 'committed'), site('east', 'committed'), site('north', 'committed')];
    expect(decide(sites)).toEqual({ next: 'close', cohort: ['east', 'north', 'south'] });
  });

  it('waits for those who have not, although there are enough', () => {
    const sites = [site('a', 'committed'), site('b', 'committed'), site('c', 'awaited')];
    expect(decide(sites)).toEqual({ next: 'wait', reason: 'waiting for c' });
  });

  it('closes at the deadline with enough', () => {
    const sites = [site('a', 'committed'), site('b', 'committed'), site('c', 'awaited')];
    expect(decide(sites, { seconds: 60 })).toEqual({ next: 'close', cohort: ['a', 'b'] });
  });

  it('goes on waiting past the deadline with too few, and says for whom', () => {
    const sites = [site('a', 'committed'), site('b', 'awaited'), site('c', 'awaited')];
    expect(decide(sites, { seconds: 99 })).toEqual({
      next: 'wait',
      reason: 'past the deadline, still waiting for b, c',
    });
  });

  it('does not wait for a site that was refused', () => {
    const sites = [site('a', 'committed'), site('b', 'committed'), site('c', 'refused')];
    expect(decide(sites)).toEqual({ next: 'close', cohort: ['a', 'b'] });
  });

  it('fails at the deadline when too few are left, not before', () => {
    const sites = [site('a', 'committed'), site('b', 'refused')];
    expect(decide(sites).next).toBe('wait');
    const late = decide(sites, { seconds: 60 });
    expect(late).toEqual({
      next: 'fail',
      reason: '2 sites are needed and 1 are left that can send an update',
    });
  });

  it('does not wait for a site that let the last round pass and is away, unless it is needed', () => {
    const sites = [site('a', 'committed'), site('b', 'committed'), site('c', 'absent')];
    expect(decide(sites)).toEqual({ next: 'close', cohort: ['a', 'b'] });
    expect(decide(sites, { minSites: 3 })).toEqual({ next: 'wait', reason: 'waiting for c' });
  });

  it('fails at once when every site has withdrawn, and says why', () => {
    const declined = ['a: too many rounds', 'b: no rows'];
    expect(decide([], { declined })).toEqual({
      next: 'fail',
      reason: 'no site takes part any more; a: too many rounds; b: no rows',
    });
  });

  it('waits until the deadline for a site that has only paused', () => {
    expect(decide([], { mayReturn: true })).toMatchObject({ next: 'wait' });
    expect(decide([], { mayReturn: true, seconds: 60 })).toMatchObject({ next: 'fail' });
  });

  it('calls upon sites that were not drawn: as many as are missing, or all of them past the deadline', () => {
    const sites = [site('a', 'committed'), site('b', 'refused')];
    const spare = ['y', 'x'];
    expect(decide(sites, { spare })).toMatchObject({ next: 'call', sites: ['y'] });
    const waiting = [site('a', 'committed'), site('b', 'awaited')];
    expect(decide(waiting, { spare })).toEqual({ next: 'wait', reason: 'waiting for b' });
    expect(decide(waiting, { spare, seconds: 60 })).toMatchObject({ next: 'call', sites: ['y', 'x'] });
  });

  it('never closes with fewer than the plan needs and never counts a site that has not committed', () => {
    const state = fc.constantFrom('awaited' as const, 'committed' as const, 'refused' as const);
    fc.assert(
      fc.property(
        fc.array(state, { maxLength: 12 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 0, max: 120 }),
        (states, minSites, seconds) => {
          const sites = states.map((value, index) => site(`site ${index}`, value));
          const decision = decide(sites, { minSites, seconds });
          if (decision.next === 'fail' && states.length > 0) expect(seconds).toBeGreaterThanOrEqual(60);
          if (decision.next !== 'close') return;
          expect(decision.cohort.length).toBeGreaterThanOrEqual(minSites);
          const committed = sites.filter((entry) => entry.state === 'committed').map(({ name }) => name);
          expect(decision.cohort).toEqual(committed.sort());
        },
      ),
    );
  });
});

describe('scoring', () => {
  const { decide: look } = PHASES.scoring;
  it('goes on when every score is here, or at its deadline', () => {
    expect(look(viewOf({}))).toEqual({ next: 'go-on' });
    expect(look(viewOf({ unscored: ['a', 'b'] }))).toEqual({
      next: 'wait',
      reason: 'waiting for the scores of a, b',
    });
    expect(look(viewOf({ unscored: ['a'], seconds: 60 }))).toEqual({ next: 'go-on' });
  });
});

describe('closed', () => {
  const { decide: look } = PHASES.closed;
  it('goes on, unless the run is paused or sites have yet to approve more rounds', () => {
    expect(look(viewOf({ after: 'round' }))).toEqual({ next: 'go-on' });
    expect(look(viewOf({ after: 'end' }))).toEqual({ next: 'go-on' });
    expect(look(viewOf({ paused: 'holidays' }))).toEqual({ next: 'wait', reason: 'paused: holidays' });
    expect(look(viewOf({ paused: 'holidays', after: 'end' }))).toEqual({ next: 'go-on' });
    expect(look(viewOf({ after: 'approvals' })).next).toBe('wait');
  });
});

it('every phase names the transition that leaves it', () => {
  for (const { transition } of Object.values(PHASES)) expect(TRANSITIONS).toContain(transition);
});
