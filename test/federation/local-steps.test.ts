/** @file Steps of a site that follow from its rows. */

import { expect, it } from 'vitest';
import { stepsOfSite } from '../../core/federation/local-steps.ts';
import { pinPlan, readPlan } from '../../core/federation/plan.ts';

const plan = (training: object, federation: object) =>
  pinPlan(readPlan(JSON.stringify({ name: 'pairs', model: 'tiny', training, federation })), {
    id: 'tiny',
    sha256: 'ab'.repeat(32),
  });

// Three passes over 200 rounds that draw 10 of 747 sites, batches of 8, as FedLLM-Bench's FedChatbotPA has them.
it.each([
  [6, 1],
  [13, 2],
  [50, 8],
  [154, 22],
])('gives %i rows %i steps a round, as the reference does', (rows, steps) => {
  const bench = plan(
    { steps: 100, passes: 3, batchSize: 8 },
    { rounds: 200, cohort: { share: 10 / 747 }, minSites: 10 },
  );
  expect(stepsOfSite(bench, rows)).toBe(steps);
});

it('takes the steps of the plan without passes, and at most those with them', () => {
  expect(stepsOfSite(plan({ steps: 7 }, {}), 1000)).toBe(7);
  expect(stepsOfSite(plan({ steps: 7, passes: 3 }, { rounds: 2 }), 1000)).toBe(7);
  expect(stepsOfSite(plan({ steps: 7, passes: 3 }, { rounds: 2 }), 5)).toBe(2);
});

it('refuses passes where nobody knows how often a site is drawn', () => {
  expect(() => plan({ passes: 1 }, { cohort: { sites: 2 } })).toThrow(/training\.passes.*as a share/);
});
