/** @file Drawing a round's sites: the same ones for the same plan, whoever came first; fair over many rounds. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawCohort, inOrderOfLots } from '../../core/federation/cohort.ts';
import { readPlan } from '../../core/federation/plan.ts';
import { codeOf } from '../helpers/errors.ts';

const names = Array.from({ length: 20 }, (_, index) => `site ${index}`);
const plan = (cohort: { sites: number } | { share: number }, minSites = 1, seed = 7) => ({
  seed,
  federation: { cohort, minSites },
});

describe('drawCohort', () => {
  it('asks all where the plan says nothing', () => {
    expect(drawCohort(names, { seed: 7, federation: { minSites: 2 } }, 0)).toBeNull();
  });

  it('draws a number or a share, at least minSites and at most all, sorted', () => {
    const drawn = drawCohort(names, plan({ sites: 4 }), 0) ?? [];
    expect(drawn).toHaveLength(4);
    expect([...drawn].sort()).toEqual(drawn);
    expect(drawCohort(names, plan({ share: 0.21 }), 0)).toHaveLength(5);
    expect(drawCohort(names, plan({ share: 0.01 }, 3), 0)).toHaveLength(3);
    expect(drawCohort(names.slice(0, 3), plan({ sites: 4 }), 0)).toHaveLength(3);
  });

  it('does not depend on the order of the sites, and one that leaves changes nobody else’s lot', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(names, { minLength: 20 }),
        fc.nat(50),
        fc.integer({ min: 1, max: 20 }),
        (shuffled, round, sites) => {
          const drawn = drawCohort(names, plan({ sites }), round);
          expect(drawCohort(shuffled, plan({ sites }), round)).toEqual(drawn);
          const order = inOrderOfLots(names, 7, round);
          const without = inOrderOfLots(shuffled.slice(1), 7, round);
          expect(without).toEqual(order.filter((name) => name !== shuffled[0]));
        },
      ),
    );
  });

  it('changes with the round and the seed, and asks everyone about equally often', () => {
    const of = (round: number, seed = 7) => drawCohort(names, plan({ sites: 4 }, 1, seed), round) ?? [];
    expect(of(0)).not.toEqual(of(1));
    expect(of(0)).not.toEqual(of(0, 8));
    const counts = new Map(names.map((name) => [name, 0]));
    for (let round = 0; round < 2000; round++) {
      for (const name of of(round)) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    // 400 expected, with a standard deviation of 18.
    for (const count of counts.values()) expect(Math.abs(count - 400)).toBeLessThan(90);
  });
});

describe('a plan', () => {
  const read = (federation: object) => () =>
    readPlan(JSON.stringify({ name: 'clinics', model: 'tiny', federation }));

  it('may draw sites, and is refused where no round could close', () => {
    expect(read({ cohort: { share: 0.2 } })().federation.cohort).toEqual({ share: 0.2 });
    expect(read({ cohort: { sites: 1 } })).toThrow(/federation\.cohort\.sites is 1.*minSites 2/);
    expect(read({ minSites: 4, minApprovals: 3 })).toThrow(/federation\.minApprovals is 3/);
    expect(codeOf(read({ cohort: 4 }))).toBe('plan.invalid');
  });
});
