/** @file The table of phases: when a round waits, closes or fails. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PHASES } from '../../core/hub/rounds.ts';
import type { RoundSite, RoundView } from '../../core/hub/rounds.ts';
import { TRANSITIONS } from '../../core/hub/store.ts';

const site = (name: string, state: RoundSite['state']): RoundSite => ({ name, state });
const decide = (sites: RoundSite[], view: Partial<RoundView> = {}) =>
  PHASES.collecting.decide({ sites, minSites: 2, seconds: 10, deadline: 60, ...view });

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
          if (decision.next !== 'close') return;
          expect(decision.cohort.length).toBeGreaterThanOrEqual(minSites);
          const committed = sites.filter((entry) => entry.state === 'committed').map(({ name }) => name);
          expect(decision.cohort).toEqual(committed.sort());
        },
      ),
    );
  });
});

it('every phase but the last names the transition that leaves it', () => {
  for (const [name, { then, transition }] of Object.entries(PHASES)) {
    if (name === 'closed') expect([then, transition]).toEqual([null, null]);
    else expect(TRANSITIONS).toContain(transition);
  }
});
