/** @file A plan as a window reads it: each line that concerns a site, and what leaves the machine if it is approved. */

import { metricsSentWith } from '../../federation/metrics.ts';
import type { Plan } from '../../federation/plan.ts';
import type { Policy } from '../../site/policy.ts';
import type { Output } from '../contract.ts';

type Line = Output<'runs.plan'>['lines'][number];
type Leaving = Output<'runs.plan'>['leaves'][number];

export function linesOf(plan: Plan): Line[] {
  const { model, objective, adapter, training, federation, evaluation, personal, data } = plan;
  const { rounds, minSites, deadline, late, codec, strategy, mode } = federation;
  const line = (field: Line['field'], value: string | number): Line => ({ field, value: String(value) });
  return [
    line('model', model.id),
    line('sha256', model.sha256),
    line('objective', objective),
    line('rank', adapter.rank),
    line('strategy', strategy.name),
    line('rounds', rounds),
    line('steps', training.steps),
    line('batchSize', training.batchSize),
    line('maxLength', training.maxLength),
    line('minSites', minSites),
    line('deadline', deadline),
    ...(late === undefined ? [] : [line('late', late.discount)]),
    line('codec', codec),
    line('mode', mode),
    ...(evaluation === undefined ? [] : [line('evaluation', '')]),
    ...(personal === undefined ? [] : [line('personal', personal.steps)]),
    ...(data === undefined ? [] : [line('data', '')]),
  ];
}

/** What leaves; `policies` say which metrics may. */
export function leavesOf(
  { adapter, federation, evaluation, objective }: Plan,
  policies: readonly Policy[],
): Leaving[] {
  const isPairs = objective === 'dpo';
  const sentWith = (message: 'update' | 'score'): string[] =>
    metricsSentWith(message, isPairs).filter((name) =>
      policies.every(({ metrics }) => metrics.includes(name)),
    );
  return [
    { what: 'updates', rounds: federation.rounds, rank: adapter.rank },
    { what: 'numbers', of: isPairs ? 'pairs' : 'examples', metrics: sentWith('update') },
    ...(evaluation === undefined ? [] : [{ what: 'scores', metrics: sentWith('score') } as const]),
    { what: 'progress' },
  ];
}
