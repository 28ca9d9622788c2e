/** @file The round trainer of a real site: a training process that is started when a round needs it. */

import { TributaryError } from '../errors.ts';
import type { ModelIdentity, Plan } from '../federation/plan.ts';
import { findInCatalogue } from '../model/catalogue.ts';
import { TrainerProcess } from '../training/client.ts';
import type { RoundTrainer } from './trainer.ts';

export interface EngineTrainerOptions {
  /** Path of a model that is not in the catalogue, where the site has one. */
  readonly model?: string;
  /** Threads of the engine; default all cores. The same number repeats a round bit for bit. */
  readonly threads?: number;
}

/**
 * Trains rounds in a process of its own, which stays warm between rounds of one model. A crash of it fails the
 * round with `engine.crashed`; the next round starts a new one.
 */
export function createEngineTrainer(options: EngineTrainerOptions = {}): RoundTrainer {
  let warm: { process: TrainerProcess; key: string } | null = null;

  async function close(): Promise<void> {
    const closing = warm?.process;
    warm = null;
    await closing?.close();
  }

  async function processFor({ model, training }: Plan): Promise<TrainerProcess> {
    const key = JSON.stringify([model, training.precision]);
    if (warm?.key === key) return warm.process;
    await close();
    const process = new TrainerProcess();
    // Before it is open, so that closing while a model loads ends the process too.
    warm = { process, key };
    try {
      const opened = await process.call('open', {
        model: referenceTo(model, options.model),
        precision: training.precision,
        device: 'cpu',
        threads: options.threads,
      });
      if (opened.identity.sha256 !== model.sha256) {
        throw new TributaryError(
          'model.hash-mismatch',
          `The plan's model ${model.id} has sha256 ${model.sha256}, the one here ${opened.identity.sha256}.`,
        );
      }
    } catch (error) {
      await close();
      throw error;
    }
    return process;
  }

  return {
    async train({ plan, base, examples, learningRate, seedParts, signal, onStep }) {
      const process = await processFor(plan);
      try {
        const { adapter, training } = plan;
        await process.call('setAdapter', { configuration: adapter, tensors: base });
        const conversations = examples.flatMap((one) => (one.kind === 'conversation' ? [one] : []));
        const request = { ...training, examples: conversations, learningRate, seedParts };
        const trained = await process.call('train', request, { signal, report: onStep });
        const tensors = await process.call('adapter', null);
        if (!tensors) throw new Error('the training process has lost its adapter');
        const { loss, supervisedTokens, skipped } = trained;
        return { adapter: tensors, loss, examples: examples.length - skipped, supervisedTokens };
      } catch (error) {
        if (error instanceof TributaryError && error.code === 'engine.crashed') await close();
        if (signal.aborted) throw signal.reason;
        throw error;
      }
    },
    close,
  };
}

/** How this machine calls the plan's model. */
function referenceTo(model: ModelIdentity, path: string | undefined): string {
  if (model.id === 'tiny' || findInCatalogue(model.id)) return model.id;
  if (path !== undefined) return path;
  throw new TributaryError('model.not-found', `The plan's model ${model.id} is not in the catalogue.`, {
    hint: 'Start the site with --model and the path of that model.',
  });
}
