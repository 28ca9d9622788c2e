/** @file The adapter of a run, or of one of its rounds, as a PEFT folder. */

import { TributaryError } from '../errors.ts';
import { readTensors } from '../federation/codec.ts';
import { isPersonal } from '../federation/schedule.ts';
import type { BlobReference } from '../federation/shapes.ts';
import { writeAdapter } from '../model/adapter.ts';
import { configurationSchema } from '../model/catalogue.ts';
import type { HubContext } from './context.ts';
import { planOf } from './proposals.ts';
import type { RunRecord } from './records.ts';
import { bestOf } from './scoring.ts';

/** Which adapter of a run: the one that it ended with, that of its best or last closed round, or of a round from 1. */
export type ExportedRound = 'best' | 'last' | number | undefined;

export interface AdapterExport {
  readonly run: RunRecord;
  readonly round: ExportedRound;
  readonly folder: string;
}

/** Returns the round, from 1. Throws `run.no-adapter`, `run.round-gone`, `blob.damaged`, `disk.full`. */
export async function exportAdapter(
  hub: HubContext,
  { run, round, folder }: AdapterExport,
): Promise<number | null> {
  const found = adapterOf(hub, run, round);
  await hub.blobs.describe(found.adapter.hash);
  const { adapter, model } = planOf(run);
  const tensors = readTensors(hub.blobs.path(found.adapter.hash));
  const base = { identity: model, configuration: configurationSchema.parse(JSON.parse(run.configuration)) };
  await writeAdapter(folder, { configuration: adapter, tensors }, base);
  return found.round;
}

function adapterOf(
  hub: HubContext,
  run: RunRecord,
  wanted: ExportedRound,
): { readonly adapter: BlobReference; readonly round: number | null } {
  const plan = planOf(run);
  if (isPersonal(plan)) {
    const why =
      plan.adapter.variant === 'fedsa'
        ? 'shares the matrices A alone: each site has a whole adapter with its own B, which never leaves it'
        : 'has the strategy local: each site has trained an adapter of its own, which never leaves it';
    throw new TributaryError('run.no-adapter', `${run.id} ${why}.`, {
      hint: 'Each site finds its adapter in its own folder.',
    });
  }
  if (wanted === undefined) {
    if (run.adapter !== null) return { adapter: run.adapter, round: null };
    throw new TributaryError('run.no-adapter', `${run.id} is ${run.state} and has no final adapter.`);
  }
  const closed = hub.runs.rounds(run.id).filter(({ aggregate }) => aggregate !== null);
  const number =
    wanted === 'best' ? bestOf(hub, run)?.round : wanted === 'last' ? closed.at(-1)?.number : wanted - 1;
  const adapter = closed.find((round) => round.number === number)?.aggregate ?? null;
  if (number === undefined || adapter === null) {
    const what = wanted === 'best' ? 'no round that was scored' : 'no such round that is closed';
    throw new TributaryError('run.no-adapter', `${run.id} has ${what}.`);
  }
  if (hub.blobs.has(adapter.hash)) return { adapter, round: number + 1 };
  const kept = closed.filter((round) => round.aggregate !== null && hub.blobs.has(round.aggregate.hash));
  throw new TributaryError(
    'run.round-gone',
    `The adapter of round ${number + 1} of ${run.id} is not kept any more; there are those of ${kept.map((round) => round.number + 1).join(', ') || 'no round'}.`,
  );
}
