/**
 * @file The training of a round: from what the hub publishes and what the site carries to an update on disk. The
 * same round gives the same bytes however often it is done, for it starts from the last round that counted.
 */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TributaryError } from '../errors.ts';
import { planAtSite } from '../federation/local-steps.ts';
import type { MessageOf } from '../federation/messages.ts';
import { superseded } from './bulk.ts';
import type { Bulk } from './bulk.ts';
import { readCarried, writeCarried } from './carried.ts';
import type { FederationContext } from './context.ts';
import { readExamples } from './examples.ts';
import { adapterAtSite, controlsOf, outcomeOf } from './outcome.ts';
import type { HeldTensors } from './held.ts';
import { metricsThatMayLeave, passGate } from './policy.ts';
import { planOf } from './proposals.ts';
import { fetchPublished } from './published.ts';
import { onceThereIsSpace, requireRoom } from './room.ts';
import type { TrainedUpdate } from './federation-store.ts';
import type { RoundTrainer } from './trainer.ts';

export interface RoundTraining {
  readonly context: FederationContext;
  readonly trainer: RoundTrainer;
  readonly bulk: Bulk;
  readonly start: MessageOf<'round-start'>;
  readonly held: HeldTensors;
  readonly signal: AbortSignal;
  /** Ends the training after its step, to go on from there when the round is begun again. */
  readonly pause: AbortSignal;
  /** Told while the disk is too full to keep what was trained. */
  readonly onTrouble: (error: TributaryError) => void;
  /** Seconds before keeping it is tried again. */
  readonly retrySeconds?: number;
  readonly tell: (
    phase: 'fetching' | 'training',
    at: { step: number; steps: number; loss: number | null },
  ) => void;
}

/** Files of about the base's size that a round adds: the base, the update, and what is carried to the next round. */
const ROUND_FILES = 3;

/** Where the training of a run that was paused within a round leaves how far it was. */
export function checkpointFolder({ files }: Pick<FederationContext, 'files'>, run: string): string {
  return join(files, 'checkpoints', run);
}

/** Trains a round and keeps its update, with what it leaves for the next round, in one transaction. */
export async function trainRound(work: RoundTraining): Promise<TrainedUpdate> {
  const { context, start, signal, tell } = work;
  const { run: id, round, base, learningRate } = start;
  const { store } = context;
  const run = store.run(id);
  const membership = store.membership();
  if (run === null || run.dataset === null || membership === null)
    throw superseded('The run is not approved any more.');
  const approved = planOf(run);
  const { examples, skipped } = readExamples(context.vault, run.dataset, approved);
  const { name } = context.vault.dataset(run.dataset);
  passGate(context.policies(), { kind: 'dataset', dataset: name, examples: examples.length });
  await requireRoom(context, ROUND_FILES * base.size);
  const plan = planAtSite(approved, examples.length);

  tell('fetching', { step: 0, steps: plan.training.steps, loss: null });
  const reference = plan.objective === 'dpo' ? plan.adapter.start : undefined;
  const fetched = await fetchPublished(work, base, signal);
  const hub = start.control === undefined ? null : await fetchPublished(work, start.control, signal);
  const referred =
    reference === undefined ? null : await fetchPublished({ ...work, held: undefined }, reference, signal);
  tell('training', { step: 0, steps: plan.training.steps, loss: null });
  // The hub has added no change that it refused or that came late, so those leave nothing.
  const carried = await readCarried(context, id, { round, held: work.held });
  const tensors = adapterAtSite(fetched, carried);
  const controls = controlsOf(plan, { base: tensors, hub, carried });
  const trained = await work.trainer.train({
    plan,
    run: id,
    round,
    learningRate,
    seedParts: [plan.seed, round, membership.site],
    base: tensors,
    reference: referred,
    controls,
    examples,
    signal,
    pausing: { folder: checkpointFolder(context, id), finish: work.pause },
    onStep: (step) => tell('training', step),
  });
  signal.throwIfAborted();

  const outcome = outcomeOf(plan, { round, base: tensors, controls, carried, trained });
  // The hub counts no more examples than were approved.
  const counted = Math.max(1, Math.min(trained.examples, run.examples ?? trained.examples));
  const { supervisedTokens, preference } = trained;
  const measured = {
    supervisedTokens,
    // Also those that the template refuses and those of which nothing was left within the longest length.
    skippedRows: skipped + examples.length - trained.examples,
    ...(preference && { preferenceAccuracy: preference.accuracy, preferenceMargin: preference.margin }),
  };
  const metrics = metricsThatMayLeave(context.policies(), measured);
  // Hours of training are not thrown away because the disk is full when they end.
  const update = await onceThereIsSpace(
    () => keepUpdate(work, { outcome, examples: counted, loss: trained.loss, metrics }),
    { ...work, onFull: work.onTrouble },
  );
  await rm(checkpointFolder(context, id), { recursive: true, force: true });
  return update;
}

/** Writes an update and what it leaves for the next round; the database knows of all of it or of nothing. */
async function keepUpdate(
  { context, start, held, signal }: RoundTraining,
  made: Omit<TrainedUpdate, 'blob'> & { readonly outcome: ReturnType<typeof outcomeOf> },
): Promise<TrainedUpdate> {
  const { store, blobs } = context;
  const { run, round } = start;
  const { outcome, examples, loss, metrics } = made;
  const [left, blob] = await Promise.all([
    writeCarried(context, outcome.carried),
    blobs.put(outcome.bytes, { toSend: true }),
  ]);
  store.crashPoint('update-written');
  signal.throwIfAborted(); // a person may have thrown the round away
  const update = { blob, examples, loss, metrics };
  store.transaction('keep-update', () => {
    store.setTrained(run, round, update, left);
    const { hash, size: bytes } = blob;
    store.ledger.append('update', { run, round, hash, bytes, examples, loss, metrics });
  });
  if (left.rest !== undefined && outcome.carried.rest !== undefined)
    held.keep(left.rest.hash, outcome.carried.rest);
  return update;
}
