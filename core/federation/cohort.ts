/** @file Which sites a round asks: all of the run, or some that are drawn by lot. */

import { z } from 'zod';
import { Random } from '../random.ts';

/** `federation.cohort` of a plan; without it every round asks all sites that approved. */
export const cohortSchema = z
  .union([
    z.strictObject({ sites: z.int().min(1).max(10_000).describe('how many sites a round asks') }),
    z.strictObject({
      share: z.number().gt(0).max(1).describe('share of the approved sites that a round asks'),
    }),
  ])
  .describe(
    'the sites that a round asks, drawn by lot: {"sites": 4} or {"share": 0.2}; without it all of them',
  );
export type Cohort = z.infer<typeof cohortSchema>;

/** What of a plan decides who is drawn. */
export interface CohortPlan {
  readonly seed: number;
  readonly federation: { readonly cohort?: Cohort; readonly minSites: number };
}

/** How many of `members` sites a round asks. */
export function cohortSize(cohort: Cohort, members: number, minSites: number): number {
  const wanted = 'sites' in cohort ? cohort.sites : Math.ceil(cohort.share * members);
  return Math.min(members, Math.max(wanted, minSites));
}

/**
 * The sites in the order in which a round calls upon them. Each site has a lot that depends on the plan's seed, the
 * round and its name alone: neither the order in which sites come nor who else is there decides.
 */
export function inOrderOfLots(members: readonly string[], seed: number, round: number): string[] {
  const lots = members.map((name) => ({ name, lot: new Random(seed, 'cohort', round, name).uniform() }));
  lots.sort((a, b) => a.lot - b.lot || (a.name < b.name ? -1 : 1));
  return lots.map(({ name }) => name);
}

/** The sites that a round asks, drawn without replacement, in the order of their names; null: all of them. */
export function drawCohort(
  members: readonly string[],
  { seed, federation: { cohort, minSites } }: CohortPlan,
  round: number,
): string[] | null {
  if (cohort === undefined) return null;
  const size = cohortSize(cohort, members.length, minSites);
  return inOrderOfLots(members, seed, round).slice(0, size).sort();
}
