/** @file Which of a plan's fields about rounds and held-out rows fit together. */

import { TributaryError } from '../errors.ts';
import type { Plan, PlanRequest } from './plan-schema.ts';

/** Throws TributaryError `plan.invalid` or `plan.unsupported`. */
export function checkRounds({ federation, evaluation, objective, training }: PlanRequest | Plan): void {
  const { cohort, minSites, minApprovals, earlyStop } = federation;
  if (training.passes !== undefined && cohort !== undefined && 'sites' in cohort) {
    throw invalid(
      'training.passes needs to know how often a site is drawn; say federation.cohort as a share, such as {"share": 0.2}.',
    );
  }
  if (minApprovals !== undefined && minApprovals < minSites) {
    throw invalid(
      `federation.minApprovals is ${minApprovals}, below federation.minSites ${minSites}; no round could close.`,
    );
  }
  if (cohort !== undefined && 'sites' in cohort && cohort.sites < minSites) {
    throw invalid(
      `federation.cohort.sites is ${cohort.sites}, below federation.minSites ${minSites}; no round could close.`,
    );
  }
  if (evaluation?.share !== undefined && evaluation.count !== undefined) {
    throw invalid('evaluation.share and evaluation.count are both given; a site holds out one or the other.');
  }
  if (evaluation !== undefined && federation.strategy.name === 'local') {
    throw new TributaryError(
      'plan.unsupported',
      'evaluation scores what the hub makes of the updates; with federation.strategy.name "local" it makes nothing, so the plan must have none.',
    );
  }
  if (earlyStop !== undefined && evaluation === undefined) {
    throw invalid(
      'federation.earlyStop needs the scores of held-out rows, so the plan must have evaluation too.',
    );
  }
  if (earlyStop !== undefined && earlyStop.metric !== 'heldOutLoss' && objective === 'sft') {
    throw invalid(
      `federation.earlyStop.metric is "${earlyStop.metric}", which only pairs have; with the objective "sft" it must be heldOutLoss.`,
    );
  }
}

function invalid(what: string): TributaryError {
  return new TributaryError('plan.invalid', what);
}
