/** @file Which of a plan's fields about rounds and held-out rows fit together. */

import { invalid, unsupported } from './plan-problem.ts';
import type { PlanProblem } from './plan-problem.ts';
import type { Plan, PlanRequest } from './plan-schema.ts';

export function roundProblems(plan: PlanRequest | Plan): PlanProblem[] {
  return [...cohortProblems(plan), ...evaluationProblems(plan), ...lateProblems(plan)];
}

function cohortProblems({ federation, training }: PlanRequest | Plan): PlanProblem[] {
  const { cohort, minSites, minApprovals } = federation;
  const problems: PlanProblem[] = [];
  if (training.passes !== undefined && cohort !== undefined && 'sites' in cohort) {
    const what =
      'training.passes needs to know how often a site is drawn; say federation.cohort as a share, such as {"share": 0.2}.';
    problems.push(invalid('training.passes', what));
  }
  if (minApprovals !== undefined && minApprovals < minSites) {
    const what = `federation.minApprovals is ${minApprovals}, below federation.minSites ${minSites}; no round could close.`;
    problems.push(invalid('federation.minApprovals', what));
  }
  if (cohort !== undefined && 'sites' in cohort && cohort.sites < minSites) {
    const what = `federation.cohort.sites is ${cohort.sites}, below federation.minSites ${minSites}; no round could close.`;
    problems.push(invalid('federation.cohort', what));
  }
  return problems;
}

/** A late update is a change to an earlier model, so whatever ties updates to one round has no room for it. */
function lateProblems({ federation, adapter }: PlanRequest | Plan): PlanProblem[] {
  const { late, strategy, mode } = federation;
  if (late === undefined) return [];
  const why =
    mode === 'private'
      ? 'federation.mode is "private", in which the hub sees only the sum of a round'
      : strategy.name === 'scaffold'
        ? 'federation.strategy is scaffold, whose control variates belong to the round that they were computed in'
        : strategy.name === 'local'
          ? 'with federation.strategy "local" every site keeps its own adapter, so none is late'
          : adapter.variant === 'rolora'
            ? 'adapter.variant is "rolora", whose next round moves other matrices'
            : null;
  if (why === null) return [];
  return [unsupported('federation.late', `A late update cannot be taken into the next round: ${why}.`)];
}

function evaluationProblems({ federation, evaluation, objective }: PlanRequest | Plan): PlanProblem[] {
  const { earlyStop, strategy } = federation;
  const problems: PlanProblem[] = [];
  if (evaluation?.share !== undefined && evaluation.count !== undefined) {
    const what = 'evaluation.share and evaluation.count are both given; a site holds out one or the other.';
    problems.push(invalid('evaluation.count', what));
  }
  if (evaluation !== undefined && strategy.name === 'local') {
    const what =
      'evaluation scores what the hub makes of the updates; with federation.strategy.name "local" it makes nothing, so the plan must have none.';
    problems.push(unsupported('evaluation', what));
  }
  if (earlyStop !== undefined && evaluation === undefined) {
    const what =
      'federation.earlyStop needs the scores of held-out rows, so the plan must have evaluation too.';
    problems.push(invalid('federation.earlyStop', what));
  }
  if (earlyStop !== undefined && earlyStop.metric !== 'heldOutLoss' && objective === 'sft') {
    const what = `federation.earlyStop.metric is "${earlyStop.metric}", which only pairs have; with the objective "sft" it must be heldOutLoss.`;
    problems.push(invalid('federation.earlyStop.metric', what));
  }
  return problems;
}
