/** @file The trainer of a site with a window: it computes as the settings say, which may change between rounds. */

import { createEngineTrainer } from '../../site/engine-trainer.ts';
import type { EngineTrainer, EngineTrainerOptions } from '../../site/engine-trainer.ts';
import type { SettingsFile } from '../settings.ts';

/**
 * An engine trainer that is made anew once the settings it depends on are others than at the last round.
 * @param given what was said when the program was started, which goes before the settings
 */
export function createSettingsTrainer(settings: SettingsFile, given: EngineTrainerOptions): EngineTrainer {
  let made: { readonly key: string; readonly trainer: EngineTrainer } | null = null;

  async function current(): Promise<EngineTrainer> {
    const { device, threads, memoryLimit, modelPath } = settings.get();
    const key = JSON.stringify([device, threads, memoryLimit, modelPath]);
    if (made?.key === key) return made.trainer;
    await made?.trainer.close();
    const trainer = createEngineTrainer({
      ...given,
      device: given.device ?? device,
      model: given.model ?? modelPath ?? undefined,
      threads: given.threads ?? threads ?? undefined,
      memoryLimit: given.memoryLimit ?? memoryLimit ?? undefined,
    });
    made = { key, trainer };
    return trainer;
  }

  return {
    train: async (request) => (await current()).train(request),
    evaluate: async (request) => (await current()).evaluate(request),
    rehearse: async (request) => (await current()).rehearse(request),
    lend: async (plan, work) => (await current()).lend(plan, work),
    close: async () => made?.trainer.close(),
  };
}
