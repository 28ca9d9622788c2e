/** @file What a site makes of a round's aggregate on the rows that it holds out. Only numbers leave, and rounded. */

import { toTributaryError } from '../errors.ts';
import type { Message, MessageOf } from '../federation/messages.ts';
import type { Metrics } from '../federation/metrics.ts';
import type { Bulk } from './bulk.ts';
import { readCarried } from './carried.ts';
import type { FederationContext } from './context.ts';
import { reasonForHub } from './disclosure.ts';
import { readExamples } from './examples.ts';
import { adapterAtSite } from './outcome.ts';
import { metricsThatMayLeave, passGate } from './policy.ts';
import { planOf } from './proposals.ts';
import { fetchPublished } from './published.ts';
import type { RoundTrainer } from './trainer.ts';

export interface Scoring {
  readonly context: FederationContext;
  readonly trainer: RoundTrainer;
  readonly bulk: Bulk;
  readonly signal: AbortSignal;
}

/** Decimals that numbers are rounded to: enough to compare rounds. */
const DECIMALS = 4;

/**
 * The score that answers the hub: numbers, or why there are none. Throws only what aborted the work.
 */
export async function scoreAggregate(work: Scoring, message: MessageOf<'evaluate'>): Promise<Message> {
  const { run, round } = message;
  const none = (reason: string): Message => {
    return { type: 'score', run, round, examples: 0, metrics: {}, reason: reason.slice(0, 2000) };
  };
  try {
    const measured = await measure(work, message);
    if (measured === null)
      return none('it holds out fewer rows than the plan’s evaluation.minimum or its own policy asks for');
    const metrics = metricsThatMayLeave(work.context.policies(), measured.metrics);
    if (Object.keys(metrics).length === 0) return none('its policy lets none of the numbers leave');
    return { type: 'score', run, round, examples: measured.examples, metrics, reason: '' };
  } catch (thrown) {
    work.signal.throwIfAborted();
    const error = toTributaryError(thrown);
    work.context.log.warn({ run, round, code: error.code }, error.message);
    return none(reasonForHub(error));
  }
}

/** Null where fewer rows than the plan or the site's own policy asks for are held out, or can be used. */
async function measure(
  { context, trainer, bulk, signal }: Scoring,
  { run: id, round, adapter }: MessageOf<'evaluate'>,
): Promise<{ readonly examples: number; readonly metrics: Metrics } | null> {
  const run = context.store.run(id);
  if (run?.state !== 'approved' || run.dataset === null) return null;
  const plan = planOf(run);
  if (plan.evaluation === undefined) return null;
  const { heldOut } = readExamples(context.vault, run.dataset, plan);
  // A hub that asks for the mean of one row must not get it.
  const least = context.policies().map(({ minExamples }) => minExamples);
  const minimum = Math.max(plan.evaluation.minimum, ...least);
  if (heldOut.length < minimum) return null;
  passGate(context.policies(), { kind: 'plan', plan });
  const reference = plan.objective === 'dpo' ? plan.adapter.start : undefined;
  const scored = await fetchPublished({ context, bulk }, adapter, signal);
  const referred =
    reference === undefined ? null : await fetchPublished({ context, bulk }, reference, signal);
  const { loss, accuracy, margin, examples } = await trainer.evaluate({
    plan,
    adapter: adapterAtSite(scored, await readCarried(context, id, { round: round + 1 })),
    reference: referred,
    examples: heldOut,
    signal,
  });
  if (examples < minimum) return null;
  const numbers = { heldOutLoss: loss, heldOutAccuracy: accuracy, heldOutMargin: margin };
  const metrics = Object.entries(numbers).flatMap(([name, value]): [string, number][] =>
    value === undefined || !Number.isFinite(value) ? [] : [[name, Number(value.toFixed(DECIMALS))]],
  );
  return { examples, metrics: Object.fromEntries(metrics) };
}
