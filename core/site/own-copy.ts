/**
 * @file A site's own copy of a run's final adapter, trained further on its rows where the plan has `personal`. It is
 * kept beside the run's adapter and never leaves.
 */

import type { Plan } from '../federation/plan.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { FederationContext } from './context.ts';
import { readExamples } from './examples.ts';
import { passGate } from './policy.ts';
import type { RoundRequest, RoundTrainer } from './trainer.ts';

const SUFFIX = '-own';

/** What the own copy of a run's adapter is called; no run is called so, for theirs end with a number. */
export function ownCopyOf(run: string): string {
  return `${run}${SUFFIX}`;
}

/** The run whose adapter was copied, or null where the name is that of a run itself. */
export function runOfOwnCopy(name: string): string | null {
  return name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : null;
}

/** The training of a site's own copy, or null where the plan has none: plain, as after the last round. */
export function ownTraining(
  plan: Plan,
  site: string,
): Pick<RoundRequest, 'plan' | 'round' | 'learningRate' | 'seedParts' | 'controls' | 'reference'> | null {
  const { personal, training, federation } = plan;
  if (personal === undefined) return null;
  return {
    plan: {
      ...plan,
      training: { ...training, steps: personal.steps, passes: undefined },
      federation: { ...federation, strategy: { name: 'fedavg' } },
    },
    round: federation.rounds,
    learningRate: personal.learningRate ?? training.learningRate,
    seedParts: [plan.seed, 'personal', site],
    ...{ controls: null, reference: null },
  };
}

/** Trains it. Null where the plan has none or the site's rows are not there. Throws `policy.*` and what training throws. */
export async function trainOwnCopy(
  { context, trainer, signal }: { context: FederationContext; trainer: RoundTrainer; signal: AbortSignal },
  { run, plan, base }: { readonly run: string; readonly plan: Plan; readonly base: NamedTensors },
): Promise<NamedTensors | null> {
  const { store, vault } = context;
  const dataset = store.run(run)?.dataset ?? null;
  const training = ownTraining(plan, store.membership()?.site ?? '');
  if (training === null || dataset === null) return null;
  const { examples } = readExamples(vault, dataset, plan);
  passGate(context.policies(), { kind: 'plan', plan });
  const { name } = vault.dataset(dataset);
  passGate(context.policies(), { kind: 'dataset', dataset: name, examples: examples.length });
  const { adapter } = await trainer.train({
    ...training,
    ...{ run: ownCopyOf(run), base, examples, signal },
    onStep: () => undefined,
  });
  return adapter;
}
