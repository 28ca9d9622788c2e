/** @file How many steps a site takes in a round, where the plan lets that depend on how many rows the site has. */

import type { Plan } from './plan-schema.ts';

/**
 * Steps of a site with n examples. With `training.passes` e they are those that show each example e times over the
 * run, and `training.steps` at most: ⌈n·e / (P·b)⌉ for batches of b, where P = T·s is how many of the T rounds a site
 * with the share s of being drawn can expect to take part in (OpenFedLLM, `get_dynamic_local_step`).
 */
export function stepsOfSite({ training, federation }: Plan, examples: number): number {
  const { steps, passes, batchSize } = training;
  if (passes === undefined) return steps;
  const { rounds, cohort } = federation;
  const share = cohort !== undefined && 'share' in cohort ? cohort.share : 1;
  const needed = Math.ceil((examples * passes) / (rounds * share * batchSize));
  return Math.min(steps, Math.max(1, needed));
}

/** The plan with the steps that it comes to at a site with so many examples. */
export function planAtSite(plan: Plan, examples: number): Plan {
  return { ...plan, training: { ...plan.training, steps: stepsOfSite(plan, examples) } };
}
