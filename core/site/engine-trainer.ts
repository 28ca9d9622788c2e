/** @file The round trainer of a real site: a training process that is started when a round needs it. */

import { totalmem } from 'node:os';
import type { DeviceChoice, RequestedDevice } from '../engine/devices.ts';
import { TributaryError } from '../errors.ts';
import type { ModelIdentity, Plan } from '../federation/plan.ts';
import { trainableMatrices } from '../federation/schedule.ts';
import { findInCatalogue } from '../model/catalogue.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { TrainerProcess } from '../training/client.ts';
import type { TrainRequest, TrainResult } from '../training/requests.ts';
import { otherModel, probePlan } from './probe.ts';
import type {
  RehearsalRequest,
  RehearsalResult,
  RoundRequest,
  RoundResult,
  RoundTrainer,
} from './trainer.ts';

export interface EngineTrainerOptions {
  /** Path of a model that is not in the catalogue, where the site has one. */
  readonly model?: string;
  /** Where to compute; default the CPU. */
  readonly device?: RequestedDevice;
  /** Bytes that a training step may take; default no limit. */
  readonly memoryLimit?: number;
  /** Told the device whenever a model is opened, and why it is that one. */
  readonly onDevice?: (choice: DeviceChoice) => void;
  /** Told in sentences what went wrong in a step and how it went on. */
  readonly onNote?: (sentence: string) => void;
  /** Threads of the engine; default all cores. The same number repeats a round bit for bit. */
  readonly threads?: number;
}

/** A process with the model it has opened. */
interface Warm {
  readonly process: TrainerProcess;
  readonly key: string;
  /** The adapter, as its plan has it, that is kept as the reference of pairs; null: the model without one. */
  reference: string | null | undefined;
}

/** A round trainer that lends its process for other work on the model between rounds. */
export interface EngineTrainer extends RoundTrainer {
  /** Gives the work the process with the plan's model open; whatever adapter and reference it sets stay set. */
  lend<T>(plan: Plan, work: (process: TrainerProcess) => Promise<T>): Promise<T>;
  rehearse(request: RehearsalRequest): Promise<RehearsalResult>;
}

/**
 * Trains rounds in a process of its own, which stays warm between rounds of one model. A crash of it fails the
 * round with `engine.crashed`; the next round starts a new one.
 */
export function createEngineTrainer(options: EngineTrainerOptions = {}): EngineTrainer {
  let warm: Warm | null = null;

  async function close(): Promise<void> {
    const closing = warm?.process;
    warm = null;
    await closing?.close();
  }

  async function warmFor({ model, training }: Plan): Promise<Warm> {
    const key = JSON.stringify([model, training.precision]);
    if (warm?.key === key) return warm;
    await close();
    const process = new TrainerProcess();
    // Before it is open, so that closing while a model loads ends the process too.
    const opening: Warm = { process, key, reference: null };
    warm = opening;
    try {
      const opened = await process.call('open', {
        model: referenceTo(model, options.model),
        precision: training.precision,
        device: options.device ?? 'cpu',
        threads: options.threads,
        memoryLimit: options.memoryLimit,
      });
      options.onDevice?.({ device: opened.device, reason: opened.deviceReason });
      if (opened.identity.sha256 !== model.sha256) {
        throw otherModel({ model }, opened.identity.sha256);
      }
    } catch (error) {
      await close();
      throw error;
    }
    return opening;
  }

  /** Keeps the reference of the plan in the process, which remembers from round to round what it made of the pairs. */
  async function refer(to: Warm, { adapter }: Plan, reference: NamedTensors | null): Promise<void> {
    const name = reference && JSON.stringify(adapter);
    if (to.reference === name) return;
    await to.process.call('setReference', reference && { configuration: adapter, tensors: reference });
    to.reference = name;
  }

  return {
    async train({
      plan,
      round,
      base,
      reference,
      controls,
      examples,
      learningRate,
      seedParts,
      signal,
      pausing,
      onStep,
    }) {
      const ready = await warmFor(plan);
      const { process } = ready;
      try {
        const { adapter, training, objective } = plan;
        await refer(ready, plan, reference);
        await process.call('setAdapter', { configuration: adapter, tensors: base });
        const trainable = trainableMatrices(adapter.variant, round);
        const request = {
          ...training,
          ...clientOptions(plan, controls),
          ...{ objective, examples, learningRate, seedParts, trainable },
          ...(pausing && { checkpoints: { folder: pausing.folder, start: 'continue' as const } }),
        };
        const trained = await process.call('train', request, {
          signal,
          finish: pausing?.finish,
          report: (step) => {
            for (const note of step.notes ?? []) options.onNote?.(note);
            onStep(step);
          },
        });
        const tensors = await process.call('adapter', null);
        if (!tensors) throw new Error('the training process has lost its adapter');
        const { loss, supervisedTokens, skipped, controlVariates: after } = trained;
        return {
          adapter: tensors,
          loss,
          examples: examples.length - skipped,
          supervisedTokens,
          preference: meanPreference(trained),
          ...(after && { controls: { site: after.client, change: after.change } }),
        };
      } catch (error) {
        if (error instanceof TributaryError && error.code === 'engine.crashed') await close();
        if (signal.aborted) throw signal.reason;
        if (pausing?.finish.aborted === true) throw pausing.finish.reason;
        throw error;
      }
    },
    async evaluate({ plan, adapter, reference, examples, signal }) {
      const ready = await warmFor(plan);
      const { process } = ready;
      const { template, maxLength, batchSize, dpo } = plan.training;
      const text = { template, maxLength, batchSize };
      try {
        await refer(ready, plan, reference);
        await process.call('setAdapter', { configuration: plan.adapter, tensors: adapter });
        const pairs = examples.filter((example) => 'chosen' in example);
        if (plan.objective === 'dpo') {
          const request = { ...text, examples: pairs, dpo };
          const measured = await process.call('evaluatePreferences', request, { signal });
          const { loss, accuracy, margin, skipped } = measured;
          return { loss, accuracy, margin, examples: pairs.length - skipped };
        }
        const others = examples.filter((example) => 'messages' in example);
        const { loss, skipped } = await process.call('evaluate', { ...text, examples: others }, { signal });
        return { loss, examples: others.length - skipped };
      } catch (error) {
        if (error instanceof TributaryError && error.code === 'engine.crashed') await close();
        if (signal.aborted) throw signal.reason;
        throw error;
      }
    },
    // In a process of its own, so that the peak of its memory is that of this plan.
    rehearse: async ({ plan, examples, signal, onStep }) => {
      const { device = 'cpu', threads, memoryLimit } = options;
      const model = referenceTo(plan.model, options.model);
      const engine = { model, precision: plan.training.precision, device, threads, memoryLimit };
      const probe = await probePlan({ plan, examples, engine }, { signal, onStep });
      return { ...probe, memoryLimit: memoryLimit ?? totalmem() };
    },
    lend: async (plan, work) => {
      const ready = await warmFor(plan);
      // What it will be is not known here; the next round sets it again.
      ready.reference = undefined;
      try {
        return await work(ready.process);
      } catch (error) {
        if (error instanceof TributaryError && error.code === 'engine.crashed') await close();
        throw error;
      }
    },
    close,
  };
}

/** What the strategy of the plan asks of local training. */
function clientOptions(
  { federation: { strategy } }: Plan,
  controls: RoundRequest['controls'],
): Pick<TrainRequest, 'proximal' | 'controlVariates'> {
  return {
    ...(strategy.name === 'fedprox' && { proximal: { mu: strategy.mu } }),
    ...(controls && { controlVariates: { server: controls.hub, client: controls.site } }),
  };
}

/** Means over the steps, where they were on pairs. */
function meanPreference({ steps }: TrainResult): RoundResult['preference'] {
  const measured = steps.flatMap(({ preference }) => (preference ? [preference] : []));
  if (measured.length === 0) return undefined;
  const mean = (key: 'accuracy' | 'margin') =>
    measured.reduce((sum, step) => sum + step[key], 0) / measured.length;
  return { accuracy: mean('accuracy'), margin: mean('margin') };
}

/** How this machine calls the plan's model. */
function referenceTo(model: ModelIdentity, path: string | undefined): string {
  if (model.id === 'tiny' || findInCatalogue(model.id)) return model.id;
  if (path !== undefined) return path;
  throw new TributaryError('model.not-found', `The plan's model ${model.id} is not in the catalogue.`, {
    hint: 'Start the site with --model and the path of that model.',
  });
}
