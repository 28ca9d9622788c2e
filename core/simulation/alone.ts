/** @file Training without a federation: what a site reaches by itself, and what all rows together would give. */

import { planAtSite } from '../federation/local-steps.ts';
import type { Plan } from '../federation/plan.ts';
import { learningRateOfRound } from '../federation/schedule.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { ownTraining } from '../site/own-copy.ts';
import type { RoundTrainer } from '../site/trainer.ts';
import { referenceOf } from './federated.ts';
import type { VirtualSite } from './federated.ts';

/** What the pooled rows are called where a site's name would stand. */
export const CENTRALISED = 'centralised';

/**
 * Trains on one site's rows for as many rounds and steps as the plan has, each round from the adapter of the one
 * before, with the learning rates and seeds of the federation. Nothing but plain training is done, whatever the
 * plan's strategy asks of sites.
 */
export async function trainAlone(options: {
  readonly plan: Plan;
  readonly site: VirtualSite;
  readonly trainer: RoundTrainer;
  /** What round 0 starts from. */
  readonly start: NamedTensors;
  readonly signal: AbortSignal;
  readonly onStep?: () => void;
}): Promise<NamedTensors> {
  const { site, trainer, start, signal, onStep } = options;
  const { federation } = options.plan;
  const averaged: Plan = {
    ...options.plan,
    // A site alone takes part in every round.
    federation: { ...federation, strategy: { name: 'fedavg' }, cohort: undefined },
  };
  const plan = planAtSite(averaged, site.examples.length);
  let adapter = start;
  for (let round = 0; round < federation.rounds; round++) {
    const trained = await trainer.train({
      plan,
      run: plan.name,
      round,
      learningRate: learningRateOfRound(plan.training, round, federation.rounds),
      seedParts: [plan.seed, round, site.name],
      base: adapter,
      reference: referenceOf(plan, start),
      controls: null,
      examples: site.examples,
      signal,
      onStep: () => onStep?.(),
    });
    adapter = trained.adapter;
  }
  return adapter;
}

/** A site's own copy of the final adapter, as it makes it after a run; null where the plan has none. */
export async function trainOwn(options: {
  readonly plan: Plan;
  readonly site: VirtualSite;
  readonly trainer: RoundTrainer;
  /** The final adapter at the site. */
  readonly base: NamedTensors;
  readonly signal: AbortSignal;
}): Promise<NamedTensors | null> {
  const { plan, site, trainer, base, signal } = options;
  const training = ownTraining(plan, site.name);
  if (training === null) return null;
  const { examples } = site;
  const request = { ...training, run: plan.name, base, examples, signal, onStep: () => undefined };
  return (await trainer.train(request)).adapter;
}

/** The rows of all sites as those of one, in the order of the sites' names. */
export function pooled(sites: readonly VirtualSite[]): VirtualSite {
  const inOrder = [...sites].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { name: CENTRALISED, examples: inOrder.flatMap(({ examples }) => examples) };
}
