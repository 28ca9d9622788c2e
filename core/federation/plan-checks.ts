/** @file What a single field of a plan cannot say: which fields fit together, and what this version does. */

import { TributaryError } from '../errors.ts';
import type { Plan, PlanRequest } from './plan-schema.ts';
import { checkRounds } from './plan-rounds.ts';
import { STRATEGIES } from './strategies/table.ts';

/** Throws TributaryError `plan.invalid` or `plan.unsupported`, with the fields that do not fit. */
export function checkPlan(plan: PlanRequest | Plan): void {
  const { training, federation, adapter, objective } = plan;
  if (training.minLearningRate > training.learningRate) {
    throw new TributaryError(
      'plan.invalid',
      `training.minLearningRate is ${training.minLearningRate}, above training.learningRate ${training.learningRate}; the learning rate falls over the rounds.`,
    );
  }
  if (Array.isArray(adapter.targets) && new Set(adapter.targets).size < adapter.targets.length) {
    throw new TributaryError(
      'plan.invalid',
      `adapter.targets names a layer twice: ${adapter.targets.join(', ')}.`,
    );
  }
  if (objective === 'sft' && training.dpo !== undefined) {
    throw new TributaryError('plan.invalid', 'training.dpo is for the objective "dpo"; this plan has "sft".');
  }
  if (training.dpo?.loss === 'ipo' && training.dpo.labelSmoothing > 0) {
    throw new TributaryError(
      'plan.invalid',
      `training.dpo.labelSmoothing is ${training.dpo.labelSmoothing}; the loss ipo has none, so it must be 0.`,
    );
  }
  if (objective === 'dpo' && adapter.dropout > 0) {
    throw new TributaryError(
      'plan.invalid',
      `adapter.dropout is ${adapter.dropout}; the objective "dpo" compares likelihoods and takes none, so it must be 0.`,
    );
  }
  checkRounds(plan);
  const { strategy, mode } = federation;
  const kept = Object.keys(STRATEGIES[strategy.name].create(strategy).moments);
  if (adapter.variant === 'rolora' && kept.length > 0) {
    throw new TributaryError(
      'plan.unsupported',
      `adapter.variant is "rolora", which leaves A or B as it is in each round, but ${strategy.name} would move it by what it keeps of earlier rounds (${kept.join(', ')}); fedavg does not.`,
    );
  }
  if (adapter.variant === 'fedsa' && ['scaffold', 'local'].includes(strategy.name)) {
    throw new TributaryError(
      'plan.unsupported',
      `adapter.variant is "fedsa", which shares A and keeps B at each site; ${strategy.name} ${strategy.name === 'local' ? 'shares nothing' : 'steers by the mean change of all that is trained'}. Choose fedavg or another strategy.`,
    );
  }
  if (mode !== 'inspected') throw unsupported('federation.mode', mode, ['inspected']);
}

function unsupported(field: string, found: string, supported: readonly string[]): TributaryError {
  return new TributaryError(
    'plan.unsupported',
    `${field} is "${found}", which this version does not do yet; it does ${supported.join(', ')}.`,
  );
}
