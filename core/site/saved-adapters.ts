/** @file Where a site puts the adapters of its runs for people: PEFT folders. */

import { join } from 'node:path';
import type { Plan } from '../federation/plan.ts';
import { findModel } from '../federation/plan-model.ts';
import { writeAdapter } from '../model/adapter.ts';
import type { NamedTensors } from '../model/tensor.ts';

/** Folder of a run's adapter in a site's folder; `run` is what the run is called at this site. */
export function adapterFolder(folder: string, run: string): string {
  return join(folder, 'adapters', run);
}

/** @param model gives the path of a model that is not in the catalogue */
export function adapterWriter(folder: string, model: () => string | undefined) {
  return async (run: string, plan: Plan, tensors: NamedTensors): Promise<void> => {
    const { model: identity, configuration } = await findModel(plan.model, model());
    const adapter = { configuration: plan.adapter, tensors };
    await writeAdapter(adapterFolder(folder, run), adapter, { identity, configuration });
  };
}
