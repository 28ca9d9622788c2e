/** @file Numbers of several sites as one: counts add up, shares are means by examples. */

import { expect, it } from 'vitest';
import { metricsOfCohort } from '../../core/federation/metrics.ts';
import type { Metrics } from '../../core/federation/metrics.ts';

it('adds counts up and weighs shares by examples', () => {
  const cohort = [
    {
      examples: 30,
      metrics: { supervisedTokens: 5, skippedRows: 1, preferenceAccuracy: 0.5, preferenceMargin: 2 },
    },
    {
      examples: 10,
      metrics: { supervisedTokens: 7, skippedRows: 0, preferenceAccuracy: 0.9, preferenceMargin: -2 },
    },
  ];
  const found = metricsOfCohort(cohort);
  expect(found).toMatchObject({ supervisedTokens: 12, skippedRows: 1, preferenceMargin: 1 });
  expect(found.preferenceAccuracy).toBeCloseTo(0.6, 12);
});

it('counts only sites that sent a number, and leaves out what none sent or nobody knows', () => {
  const none: Metrics = {};
  const cohort = [
    { examples: 30, metrics: { preferenceAccuracy: 0.25, heartbeats: 9 } },
    { examples: 10, metrics: none },
    { examples: null, metrics: null },
  ];
  expect(metricsOfCohort(cohort)).toEqual({ preferenceAccuracy: 0.25 });
  expect(metricsOfCohort([])).toEqual({});
});
