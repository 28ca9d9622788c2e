/** @file The adapter of a completed run as a PEFT folder. */

import { TributaryError } from '../errors.ts';
import { readTensors } from '../federation/codec.ts';
import { writeAdapter } from '../model/adapter.ts';
import { configurationSchema } from '../model/catalogue.ts';
import type { HubContext } from './context.ts';
import { planOf } from './proposals.ts';
import type { RunRecord } from './records.ts';

/** Throws `run.no-adapter`, `blob.damaged`, `disk.full`. */
export async function exportAdapter(hub: HubContext, run: RunRecord, folder: string): Promise<void> {
  if (run.adapter === null) {
    throw new TributaryError('run.no-adapter', `${run.id} is ${run.state} and has no final adapter.`);
  }
  if (planOf(run).federation.strategy.name === 'local') {
    throw new TributaryError(
      'run.no-adapter',
      `${run.id} has the strategy local: each site has trained an adapter of its own, which never leaves it.`,
      { hint: 'Each site finds its adapter in its own folder.' },
    );
  }
  await hub.blobs.describe(run.adapter.hash);
  const { adapter, model } = planOf(run);
  const tensors = readTensors(hub.blobs.path(run.adapter.hash));
  const base = { identity: model, configuration: configurationSchema.parse(JSON.parse(run.configuration)) };
  await writeAdapter(folder, { configuration: adapter, tensors }, base);
}
