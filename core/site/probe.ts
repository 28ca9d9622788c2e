/** @file How long a step of a plan takes on this machine and what memory, found out by taking three of them. */

import type { Plan } from '../federation/plan.ts';
import { withTrainer } from '../training/client.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';
import type { TrainerOptions } from '../training/requests.ts';

/** The first step also prepares the engine and does not count. */
export const PROBE_STEPS = 3;

export interface Probe {
  readonly secondsPerStep: number;
  /** Largest resident memory of the training process, in bytes. */
  readonly memory: number;
}

export interface ProbeRequest {
  readonly plan: Plan;
  readonly examples: readonly (Example | PreferenceExample)[];
  readonly engine: TrainerOptions;
}

/**
 * Trains on examples of the dataset in a process of its own and keeps nothing of it.
 * @throws TributaryError of the trainer's `open` and `train`; `training.stopped` when the signal aborts
 */
export function probePlan(
  { plan, examples, engine }: ProbeRequest,
  { signal, onStep }: { readonly signal: AbortSignal; readonly onStep: (step: number) => void },
): Promise<Probe> {
  const { objective, adapter, training, seed } = plan;
  return withTrainer({ ...engine, precision: training.precision }, async (trainer) => {
    await trainer.call('startAdapter', { configuration: adapter, seed });
    const request = { ...training, objective, examples, steps: PROBE_STEPS, seedParts: [seed] };
    const { steps } = await trainer.call('train', request, {
      signal,
      report: ({ step }) => onStep(step),
    });
    const counted = steps.slice(1);
    return {
      secondsPerStep: counted.reduce((sum, { seconds }) => sum + seconds, 0) / counted.length,
      memory: await trainer.call('memory', null),
    };
  });
}
