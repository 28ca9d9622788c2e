/** @file A training process that stays open on its model between pieces of work, and ends when nobody needs it. */

import { TributaryError } from '../errors.ts';
import { TrainerProcess } from './client.ts';
import type { TrainerOptions } from './requests.ts';

/** How long a model stays in memory after its last work. */
const IDLE_MILLISECONDS = 3 * 60 * 1000;

export interface WarmTrainer {
  /**
   * Lets the work be done in a process with the model open; pieces of work wait for each other. The adapter is
   * whichever the last piece of work has set. @throws what the work and opening the model throw
   */
  use<T>(options: TrainerOptions, work: (trainer: TrainerProcess) => Promise<T>): Promise<T>;
  /** Ends the process, and with it what is under way. */
  close(): Promise<void>;
}

export function createWarmTrainer(): WarmTrainer {
  let warm: { readonly trainer: TrainerProcess; readonly key: string } | null = null;
  let last: Promise<unknown> = Promise.resolve();
  let idle: NodeJS.Timeout | undefined;

  async function close(): Promise<void> {
    clearTimeout(idle);
    const closing = warm?.trainer;
    warm = null;
    await closing?.close();
  }

  async function open(options: TrainerOptions): Promise<TrainerProcess> {
    const key = JSON.stringify(options);
    if (warm?.key === key) return warm.trainer;
    await close();
    const trainer = new TrainerProcess();
    // Known before it is open, so that closing while a model loads ends the process too.
    warm = { trainer, key };
    await trainer.call('open', options);
    return trainer;
  }

  async function work<T>(
    options: TrainerOptions,
    given: (trainer: TrainerProcess) => Promise<T>,
  ): Promise<T> {
    clearTimeout(idle);
    try {
      const done = await given(await open(options));
      idle = setTimeout(() => void close(), IDLE_MILLISECONDS);
      idle.unref();
      return done;
    } catch (error) {
      // Neither a process that has crashed nor one whose model did not open is of further use.
      const isStopped = error instanceof TributaryError && error.code === 'training.stopped';
      if (!isStopped) await close();
      throw error;
    }
  }

  return {
    use: (options, given) => {
      const mine = last.then(() => work(options, given));
      last = mine.catch(() => undefined);
      return mine;
    },
    close,
  };
}
