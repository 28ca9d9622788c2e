/** @file How long a step of a plan takes on this machine and what memory, found out by taking three of them. */

import { TributaryError } from '../errors.ts';
import type { Plan } from '../federation/plan.ts';
import { withTrainer } from '../training/client.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';
import type { TrainerOptions } from '../training/requests.ts';

/** The first step also prepares the engine and does not count. */
export const PROBE_STEPS = 3;

export interface Probe {
  readonly secondsPerStep: number;
  /** Real tokens; padding is not counted. */
  readonly tokensPerSecond: number;
  /** Largest resident memory of the training process, in bytes. */
  readonly memory: number;
  /** What the engine computes with, and where. */
  readonly precision: string;
  readonly device: string;
}

export interface ProbeRequest {
  readonly plan: Plan;
  readonly examples: readonly (Example | PreferenceExample)[];
  readonly engine: TrainerOptions;
}

/**
 * Trains on examples of the dataset in a process of its own and keeps nothing of it.
 * @throws TributaryError `model.hash-mismatch`, of the trainer's `open` and `train`; `training.stopped` when the signal
 * aborts
 */
export function probePlan(
  { plan, examples, engine }: ProbeRequest,
  { signal, onStep }: { readonly signal: AbortSignal; readonly onStep: (step: number) => void },
): Promise<Probe> {
  const { objective, adapter, training, seed, model } = plan;
  return withTrainer({ ...engine, precision: training.precision }, async (trainer, opened) => {
    if (opened.identity.sha256 !== model.sha256) throw otherModel(plan, opened.identity.sha256);
    await trainer.call('startAdapter', { configuration: adapter, seed });
    const request = { ...training, objective, examples, steps: PROBE_STEPS, seedParts: [seed] };
    const { steps } = await trainer.call('train', request, {
      signal,
      report: ({ step }) => onStep(step),
    });
    const counted = steps.slice(1);
    const seconds = counted.reduce((sum, step) => sum + step.seconds, 0);
    return {
      secondsPerStep: seconds / counted.length,
      tokensPerSecond: counted.reduce((sum, { tokens }) => sum + tokens, 0) / seconds,
      memory: await trainer.call('memory', null),
      precision: opened.precision,
      device: opened.device,
    };
  });
}

/** The model here is not the one that the plan pins. */
export function otherModel({ model }: Pick<Plan, 'model'>, found: string): TributaryError {
  return new TributaryError(
    'model.hash-mismatch',
    `The plan's model ${model.id} has sha256 ${model.sha256}, the one here ${found}.`,
  );
}
