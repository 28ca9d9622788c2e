/** @file A plan as a person reads it: each line that concerns a site, and what leaves the machine if it is approved. */

import { METRIC_NAMES } from '../../federation/metrics.ts';
import type { Plan } from '../../federation/plan.ts';
import type { Policy } from '../../site/policy.ts';
import type { Output } from '../contract.ts';

type Line = Output<'runs.plan'>['lines'][number];

export function linesOf({ model, objective, adapter, training, federation, evaluation, data }: Plan): Line[] {
  const { rounds, minSites, deadline, codec, strategy, mode } = federation;
  const line = (field: string, label: string, value: string | number, meaning: string): Line => ({
    ...{ field, label, value: String(value), meaning },
  });
  return [
    line('model', 'Model', model.id, `its file has the SHA-256 ${model.sha256}`),
    line(
      'objective',
      'Objective',
      objective,
      objective === 'sft' ? 'learns to answer as the rows do' : 'learns which of two answers is better',
    ),
    line('adapter.rank', 'Rank of the adapter', adapter.rank, 'larger ones learn and send more'),
    line('federation.strategy', 'Strategy', strategy.name, 'how updates become the next model'),
    line('federation.rounds', 'Rounds', rounds, 'how often sites train and the hub averages'),
    line('training.steps', 'Steps a round', training.steps, 'optimiser steps at each site in each round'),
    line('training.batchSize', 'Rows a step', training.batchSize, 'examples in an optimiser step'),
    line('training.maxLength', 'Longest example', training.maxLength, 'in tokens; longer ones are cut'),
    line('federation.minSites', 'Sites at least', minSites, 'a round with fewer updates does not count'),
    line('federation.deadline', 'Seconds a round at most', deadline, 'then it closes without late updates'),
    line('federation.codec', 'Number format', codec, 'of what travels'),
    line(
      'federation.mode',
      'Mode',
      mode,
      mode === 'private' ? 'the hub sees sums alone' : 'the hub sees updates',
    ),
    ...(evaluation === undefined
      ? []
      : [line('evaluation', 'Held-out rows', 'yes', 'some rows score each round and are never trained on')]),
    ...(data === undefined
      ? []
      : [line('data', 'Data contract', 'yes', 'the rows are checked against it before anything is trained')]),
  ];
}

/** What leaves, in sentences; `policies` say which metrics may. */
export function leavesOf(
  { adapter, federation, evaluation, objective }: Plan,
  policies: readonly Policy[],
): string[] {
  const metrics = METRIC_NAMES.filter((name) =>
    policies.every(({ metrics: allowed }) => allowed.includes(name)),
  );
  const named = metrics.length === 0 ? '' : `, and these numbers where they exist: ${metrics.join(', ')}`;
  return [
    `In each of ${federation.rounds} rounds: the trained matrices of an adapter of rank ${adapter.rank}.`,
    `With each of them: the mean loss and the number of ${objective === 'dpo' ? 'pairs' : 'examples'}${named}.`,
    ...(evaluation === undefined ? [] : ['After each round: means over the rows that this site holds out.']),
    'While it trains: the phase, the step and its loss, so that the others see progress.',
    'Rows never leave.',
  ];
}
