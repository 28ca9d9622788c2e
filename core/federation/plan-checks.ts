/** @file What a single field of a plan cannot say: which fields fit together, and what this version does. */

import { TributaryError } from '../errors.ts';
import { invalid, unsupported } from './plan-problem.ts';
import type { PlanProblem } from './plan-problem.ts';
import { roundProblems } from './plan-rounds.ts';
import type { Plan, PlanRequest } from './plan-schema.ts';
import { STRATEGIES } from './strategies/table.ts';

/** Throws TributaryError `plan.invalid` or `plan.unsupported`, with the fields that do not fit. */
export function checkPlan(plan: PlanRequest | Plan): void {
  const problem = planProblems(plan).at(0);
  if (problem !== undefined) throw new TributaryError(problem.code, problem.message);
}

/** Every combination of fields that does not fit; none where the plan can be run. */
export function planProblems(plan: PlanRequest | Plan): PlanProblem[] {
  return [
    ...startProblems(plan),
    ...trainingProblems(plan),
    ...roundProblems(plan),
    ...mixtureProblems(plan),
  ];
}

/** A plan as sites approve it has the hash of the start; one that a person writes says where it is. */
function startProblems({ adapter: { start } }: PlanRequest | Plan): PlanProblem[] {
  if (start === undefined || 'hash' in start) return [];
  const { run, folder } = start;
  if ((run === undefined) !== (folder === undefined)) return [];
  const what = `adapter.start names ${run === undefined ? 'neither a run nor a folder' : 'a run and a folder'}; a run has one start.`;
  return [invalid('adapter.start', what)];
}

function trainingProblems({ training, adapter, objective }: PlanRequest | Plan): PlanProblem[] {
  const problems: PlanProblem[] = [];
  if (training.minLearningRate > training.learningRate) {
    const what = `training.minLearningRate is ${training.minLearningRate}, above training.learningRate ${training.learningRate}; the learning rate falls over the rounds.`;
    problems.push(invalid('training.minLearningRate', what));
  }
  if (Array.isArray(adapter.targets) && new Set(adapter.targets).size < adapter.targets.length) {
    const what = `adapter.targets names a layer twice: ${adapter.targets.join(', ')}.`;
    problems.push(invalid('adapter.targets', what));
  }
  if (objective === 'sft' && training.dpo !== undefined) {
    const what = 'training.dpo is for the objective "dpo"; this plan has "sft".';
    problems.push(invalid('training.dpo', what));
  }
  if (training.dpo?.loss === 'ipo' && training.dpo.labelSmoothing > 0) {
    const what = `training.dpo.labelSmoothing is ${training.dpo.labelSmoothing}; the loss ipo has none, so it must be 0.`;
    problems.push(invalid('training.dpo.labelSmoothing', what));
  }
  if (objective === 'dpo' && adapter.dropout > 0) {
    const what = `adapter.dropout is ${adapter.dropout}; the objective "dpo" compares likelihoods and takes none, so it must be 0.`;
    problems.push(invalid('adapter.dropout', what));
  }
  return problems;
}

function mixtureProblems(plan: PlanRequest | Plan): PlanProblem[] {
  const { federation, adapter, personal, objective } = plan;
  const { strategy, mode } = federation;
  const problems: PlanProblem[] = [];
  const kept = Object.keys(STRATEGIES[strategy.name].create(strategy).moments);
  if (adapter.variant === 'rolora' && kept.length > 0) {
    const what = `adapter.variant is "rolora", which leaves A or B as it is in each round, but ${strategy.name} would move it by what it keeps of earlier rounds (${kept.join(', ')}); fedavg does not.`;
    problems.push(unsupported('adapter.variant', what));
  }
  if (adapter.variant === 'fedsa' && ['scaffold', 'local'].includes(strategy.name)) {
    const what = `adapter.variant is "fedsa", which shares A and keeps B at each site; ${strategy.name} ${strategy.name === 'local' ? 'shares nothing' : 'steers by the mean change of all that is trained'}. Choose fedavg or another strategy.`;
    problems.push(unsupported('adapter.variant', what));
  }
  if (personal !== undefined && objective === 'dpo' && adapter.start !== undefined) {
    const what =
      'personal trains after the run, and the adapter that pairs are held against (adapter.start) is there only until the run ends; leave out one of them.';
    problems.push(unsupported('personal', what));
  }
  if (mode !== 'inspected') {
    const what = `federation.mode is "${mode}", which this version does not do yet; it does inspected.`;
    problems.push(unsupported('federation.mode', what));
  }
  return problems;
}
