/** @file Training without a federation, from the first measurement to the adapter's folder, in a process of its own. */

import type { LoraConfiguration } from '../model/lora.ts';
import type { ModelIdentity } from '../model/open.ts';
import type { TrainerProcess } from './client.ts';
import { withTrainer } from './client.ts';
import type { Example, PreferenceExample } from './examples.ts';
import type { Observer } from './observer.ts';
import type { StepReport, TextOptions, TrainerOptions } from './requests.ts';

/** Examples that the loss before and after is measured on at most. */
const MEASURED_EXAMPLES = 64;
const LORA_SCALE = 2;

export interface AloneTraining extends TextOptions {
  readonly engine: TrainerOptions;
  readonly objective: 'sft' | 'dpo';
  readonly examples: readonly (Example | PreferenceExample)[];
  /** On which the loss is measured before and after; none measures on the first examples of the training. */
  readonly heldOut: readonly (Example | PreferenceExample)[];
  readonly steps: number;
  readonly batchSize: number;
  readonly rank: number;
  readonly learningRate: number;
  readonly seed: number;
  /** Where the adapter is written as a PEFT folder. */
  readonly out: string;
}

export interface AloneOutcome {
  readonly model: ModelIdentity;
  /** Mean over the steps. */
  readonly loss: number;
  readonly tokensPerSecond: number;
  /** Of the measured examples, before the first step and after the last one. */
  readonly baseLoss: number;
  readonly trainedLoss: number;
  readonly measured: number;
  /** Whether the measured examples were kept from the training. */
  readonly heldOut: boolean;
}

/**
 * Trains a new adapter and writes it.
 * @throws TributaryError of the trainer's `open`, `train` and `evaluate`; the signal's reason when it aborts
 */
export async function trainAlone(
  training: AloneTraining,
  observer: Pick<Observer<StepReport>, 'signal' | 'report'>,
): Promise<AloneOutcome> {
  const { engine, objective, examples, seed, out, rank } = training;
  const heldOut = training.heldOut.length > 0;
  const measured = spread(heldOut ? training.heldOut : examples);
  return withTrainer(engine, async (trainer, { identity }) => {
    const configuration: LoraConfiguration = { rank, alpha: LORA_SCALE * rank, targets: 'all-linear' };
    await trainer.call('startAdapter', { configuration, seed });
    const measure = () => lossOn(trainer, { ...training, examples: measured }, observer.signal);
    const baseLoss = await measure();
    const { template, maxLength, batchSize, steps, learningRate } = training;
    const trained = await trainer.call(
      'train',
      {
        ...{ template, maxLength, batchSize, steps, learningRate, objective, examples },
        ...{ weightDecay: 0, maxGradientNorm: 1, seedParts: [seed] },
      },
      observer,
    );
    const trainedLoss = await measure();
    await trainer.call('saveAdapter', { folder: out });
    const seconds = trained.steps.reduce((sum, step) => sum + step.seconds, 0);
    return {
      ...{ model: identity, loss: trained.loss, tokensPerSecond: trained.tokens / seconds },
      ...{ baseLoss, trainedLoss, measured: measured.length, heldOut },
    };
  });
}

async function lossOn(
  trainer: TrainerProcess,
  { objective, examples, template, maxLength, batchSize }: AloneTraining,
  signal: AbortSignal | undefined,
): Promise<number> {
  const text = { template, maxLength, batchSize };
  if (objective === 'dpo') {
    const pairs = examples.filter((example) => example.kind === 'preference');
    return (await trainer.call('evaluatePreferences', { ...text, examples: pairs }, { signal })).loss;
  }
  const conversations = examples.filter((example) => example.kind === 'conversation');
  return (await trainer.call('evaluate', { ...text, examples: conversations }, { signal })).loss;
}

/** As many as are measured, spread evenly over all of them. */
function spread<T>(all: readonly T[]): T[] {
  const count = Math.min(MEASURED_EXAMPLES, all.length);
  return Array.from({ length: count }, (_, index) => all[Math.floor((index * all.length) / count)]);
}
