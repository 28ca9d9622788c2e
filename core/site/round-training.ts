/**
 * @file The training of a round: from what the hub publishes and what the site carries to an update on disk. The
 * same round gives the same bytes however often it is done, for it starts from the last round that counted.
 */

import { encodeTensors, encodeUpdate, readTensors } from '../federation/codec.ts';
import type { UpdateParts } from '../federation/codec.ts';
import type { MessageOf } from '../federation/messages.ts';
import type { Plan } from '../federation/plan.ts';
import type { BlobReference } from '../federation/shapes.ts';
import { clientOf } from '../federation/strategies/table.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { superseded } from './bulk.ts';
import type { Bulk } from './bulk.ts';
import type { SiteContext } from './context.ts';
import { readExamples } from './examples.ts';
import { metricsThatMayLeave, passGate } from './policy.ts';
import { planOf } from './proposals.ts';
import type { Carried, TrainedUpdate } from './store.ts';
import type { RoundRequest, RoundResult, RoundTrainer } from './trainer.ts';

export interface RoundTraining {
  readonly context: SiteContext;
  readonly trainer: RoundTrainer;
  readonly bulk: Bulk;
  readonly start: MessageOf<'round-start'>;
  readonly signal: AbortSignal;
  readonly tell: (
    phase: 'fetching' | 'training',
    at: { step: number; steps: number; loss: number | null },
  ) => void;
}

/** Trains a round and keeps its update, with what it leaves for the next round, in one transaction. */
export async function trainRound(work: RoundTraining): Promise<TrainedUpdate> {
  const { context, start, signal, tell } = work;
  const { run: id, round, base, learningRate } = start;
  const { store, blobs } = context;
  const run = store.run(id);
  const membership = store.membership();
  if (run === null || run.dataset === null || membership === null)
    throw superseded('The run is not approved any more.');
  const plan = planOf(run);
  const { examples, skipped } = readExamples(context.vault, run.dataset, plan);
  passGate(context.policies(), { kind: 'dataset', dataset: run.dataset, examples: examples.length });

  tell('fetching', { step: 0, steps: plan.training.steps, loss: null });
  const reference = plan.objective === 'dpo' ? plan.adapter.start : undefined;
  for (const blob of [base, start.control, reference]) {
    if (blob !== undefined) await work.bulk.use((transfers) => transfers.fetch(blob), signal);
  }
  tell('training', { step: 0, steps: plan.training.steps, loss: null });
  const read = (blob: BlobReference): NamedTensors => readTensors(blobs.path(blob.hash));
  const tensors = read(base);
  const controls = await controlsOf(work, plan, tensors);
  const trained = await work.trainer.train({
    plan,
    run: id,
    round,
    learningRate,
    seedParts: [plan.seed, round, membership.site],
    base: tensors,
    reference: reference === undefined ? null : read(reference),
    controls,
    examples,
    signal,
    onStep: (step) => tell('training', step),
  });
  signal.throwIfAborted();

  const { parts, carried } = await outcomeOf(work, { trained, controls });
  const blob = await blobs.put(encodeUpdate(parts));
  store.crashPoint('update-written');
  // The hub counts no more examples than were approved.
  const counted = Math.max(1, Math.min(trained.examples, run.examples ?? trained.examples));
  const { supervisedTokens, preference } = trained;
  const measured = {
    supervisedTokens,
    skippedRows: skipped,
    ...(preference && { preferenceAccuracy: preference.accuracy, preferenceMargin: preference.margin }),
  };
  const metrics = metricsThatMayLeave(context.policies(), measured);
  const update = { blob, examples: counted, loss: trained.loss, metrics };
  store.transaction('keep-update', () => {
    store.setTrained(id, round, update, carried);
    store.ledger.append('update', {
      run: id,
      round,
      hash: blob.hash,
      bytes: blob.size,
      examples: counted,
      loss: trained.loss,
      metrics,
    });
  });
  return update;
}

/**
 * The control variates that a round starts from. The site's own is that of its last update that counted: the hub
 * has added no change that it refused or that came late, so c stays the mean of all c_k.
 */
async function controlsOf(
  { context, start }: RoundTraining,
  plan: Plan,
  base: NamedTensors,
): Promise<RoundRequest['controls']> {
  if (clientOf(plan.federation.strategy) !== 'control-variates') return null;
  const { store, blobs } = context;
  const own = store.carriedInto(start.run, start.round).control;
  if (own !== undefined) await blobs.describe(own.hash);
  const read = (blob: BlobReference | undefined): NamedTensors =>
    blob === undefined ? zerosLike(base) : readTensors(blobs.path(blob.hash));
  return { hub: read(start.control), site: read(own) };
}

/** The parts of the update, and what the site carries into its next round, on disk. */
async function outcomeOf(
  { context }: RoundTraining,
  { trained, controls }: { trained: RoundResult; controls: RoundRequest['controls'] },
): Promise<{ parts: UpdateParts; carried: Carried }> {
  const { parts, control } = partsOfUpdate(trained, controls);
  if (control === null) return { parts, carried: {} };
  return { parts, carried: { control: await context.blobs.put(encodeTensors(control)) } };
}

/** What a site sends of a round, and the control variate that it carries into the next. */
export function partsOfUpdate(
  trained: RoundResult,
  controls: RoundRequest['controls'],
): { readonly parts: UpdateParts; readonly control: NamedTensors | null } {
  if (controls === null) return { parts: { weights: trained.adapter }, control: null };
  if (trained.controls === undefined) throw new TypeError('The training gave no control variates.');
  // Where a matrix rests its control variate does too.
  const { site, change } = trained.controls;
  return {
    parts: { weights: trained.adapter, control: completed(change, zerosLike(controls.site)) },
    control: completed(site, controls.site),
  };
}

function completed(tensors: NamedTensors, all: NamedTensors): NamedTensors {
  return new Map([...all].map(([name, tensor]) => [name, tensors.get(name) ?? tensor]));
}

/** Tensors of the same names and shapes. */
export function zerosLike(tensors: NamedTensors): NamedTensors {
  return new Map(
    [...tensors].map(([name, { shape, data }]) => [name, { shape, data: new Float32Array(data.length) }]),
  );
}
