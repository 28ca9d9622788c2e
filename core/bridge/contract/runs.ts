/** @file Runs at a site: what is proposed, what it would cost, yes or no, its course, stopping, training alone. */

import { z } from 'zod';
import { count, name, nothing, path, problem, request, started, time } from './request.ts';

/** Whether a step fits into this machine's memory and how long a round takes. */
export const fitShape = z.object({
  /** Bytes that a training step needs at most; null where the model is not here to be asked. */
  memoryNeeded: count.nullable(),
  memoryFree: count,
  memoryTotal: count,
  diskNeeded: count,
  diskFree: count,
  /** Green, yellow, red: fits; fits barely or by computing twice; does not fit. */
  verdict: z.enum(['fits', 'tight', 'does-not-fit', 'unknown']),
  /** Seconds of a round's training here: from rounds so far, or from a probe; null where neither is known. */
  secondsRound: z.number().nullable(),
  secondsFrom: z.enum(['rounds', 'probe']).nullable(),
});
export type Fit = z.infer<typeof fitShape>;

/**
 * Lines of a plan that concern a site; `evaluation` and `data` only say that the plan has them. `late`: the weight of a
 * late update, from 0 to 1. `personal`: steps of the own copy.
 */
const planField = z.enum([
  'model',
  'sha256',
  'objective',
  'rank',
  'strategy',
  'rounds',
  'steps',
  'batchSize',
  'maxLength',
  'minSites',
  'deadline',
  'late',
  'codec',
  'mode',
  'evaluation',
  'personal',
  'data',
]);

/** Each line of a plan that concerns a site; the window has the words. */
export const linesShape = z.array(z.object({ field: planField, value: z.string() }));

/** Datasets and why each cannot be used; the first usable one is the suggestion. */
export const datasetsShape = z.array(
  z.object({ name: z.string(), rows: count, refused: problem.nullable() }),
);

const leavingShape = z.discriminatedUnion('what', [
  /** In each round the trained matrices of the adapter. */
  z.object({ what: z.literal('updates'), rounds: count, rank: count }),
  /** With each update the mean loss, the number of `of`, and those metrics that the policy lets leave. */
  z.object({ what: z.literal('numbers'), of: z.enum(['examples', 'pairs']), metrics: z.array(z.string()) }),
  /** After each round those means over the rows that this site holds out which the policy lets leave. */
  z.object({ what: z.literal('scores'), metrics: z.array(z.string()) }),
  /** While it trains the phase, the step and its loss. */
  z.object({ what: z.literal('progress') }),
]);

const runShape = z.object({
  /** What it is called at this site; another federation may have a run of the same name. */
  id: z.string(),
  name: z.string(),
  federation: z.string(),
  /** `paused`: stopped at this site; `runs.resume` goes on. `discarded`: given up at this site. */
  state: z.enum([
    'proposed',
    'approved',
    'paused',
    'declined',
    'discarded',
    'completed',
    'failed',
    'cancelled',
  ]),
  reason: z.string(),
  planHash: z.string(),
  model: z.string(),
  objective: z.enum(['sft', 'dpo']),
  dataset: z.string().nullable(),
  /** Rows of the dataset that it can use. */
  examples: count.nullable(),
  /** Rounds this site has finished, and all of them. */
  roundsDone: count,
  rounds: count,
  /** A plan with more rounds waits for approval. */
  amendment: z.object({ rounds: count }).nullable(),
  adapter: z.boolean(),
  /** It pauses here once this round is done. */
  finishing: z.boolean(),
});
export type Run = z.infer<typeof runShape>;

export const runRequests = {
  /** Newest first. */
  'runs.list': request(nothing, z.object({ runs: z.array(runShape) })),
  /** All that is needed to decide, from the plan as it was recorded. */
  'runs.plan': request(
    z.strictObject({ run: name, dataset: name.optional() }),
    z.object({
      run: runShape,
      lines: linesShape,
      /** What leaves this machine if it is approved. Rows are no kind: they never leave. */
      leaves: z.array(leavingShape),
      /** Why the policy refuses it; null where it does not. */
      refused: problem.nullable(),
      datasets: datasetsShape,
      fit: fitShape,
      /** What is missing before it can be approved, in words for the button; null where nothing is. */
      missing: problem.nullable(),
      /** Plan as its makers wrote it, with every default. */
      plan: z.record(z.string(), z.json()),
    }),
  ),
  /** Measures the time of a round with three steps on this machine: a task of the kind `measure`; result: a `Fit`. */
  'runs.measure': request(z.strictObject({ run: name, dataset: name.optional() }), started),
  /** Also approves more rounds of a run, with the dataset it has. */
  'runs.approve': request(
    z.strictObject({ run: name, dataset: name }),
    z.object({ run: z.string(), planHash: z.string() }),
  ),
  /** Also takes back an approval; a person may give it again. */
  'runs.decline': request(
    z.strictObject({ run: name, reason: z.string().max(500).default('') }),
    z.object({ run: z.string() }),
  ),
  /**
   * `finish-round`: this round's update is still sent, then this site pauses. `save`: pauses at once, after the step
   * under way; nothing that was trained is lost. `discard`: the round is thrown away and the run declined here.
   */
  'runs.stop': request(
    z.strictObject({ run: name, how: z.enum(['finish-round', 'save', 'discard']) }),
    z.object({ run: z.string(), how: z.string() }),
  ),
  /** Goes on after `runs.stop`, at the hub's next word if the round is over meanwhile. */
  'runs.resume': request(z.strictObject({ run: name }), z.object({ run: z.string() })),
  /** What is known of a run's or of a lonely training's course; later points come as events `series`. */
  'runs.series': request(
    z.strictObject({ run: name }),
    z.object({
      run: z.string(),
      /** Loss of each step at this site. `step` counts over all rounds, from 1. */
      steps: z.array(z.object({ round: count, step: count, loss: z.number(), time })),
      /** What this site said of each round it finished: `loss` and the named metrics. */
      rounds: z.array(
        z.object({
          round: count,
          loss: z.number().nullable(),
          metrics: z.record(z.string(), z.number()),
          state: z.enum(['training', 'sending', 'committed', 'late', 'refused']),
        }),
      ),
      stepsPerRound: count,
      roundsTotal: count,
    }),
  ),

  /**
   * Trains on this machine alone: a task of the kind `alone`, counted in steps; losses come as events `series` whose
   * run is the task's result `{run, adapter, loss, tokensPerSecond, baseLoss, trainedLoss, measured, heldOut}`, with the
   * loss of `measured` rows before and after, which `heldOut` says were kept from the training; the name is also the
   * answer's `run`. Without a dataset on the bundled sample of three clinics.
   */
  'alone.start': request(
    z.strictObject({
      dataset: name.nullable().default(null),
      model: name.optional(),
      steps: z.int().min(1).max(100_000).default(20),
      batchSize: z.int().min(1).max(256).default(4),
      maxLength: z.int().min(8).max(131_072).default(256),
      rank: z.int().min(1).max(512).default(8),
      learningRate: z.number().positive().max(1).default(5e-4),
    }),
    z.object({ task: z.string(), run: z.string() }),
  ),

  /** Where a model outside the catalogue lies, to be named in settings or requests. */
  'models.inspect': request(
    z.strictObject({ path }),
    z.object({ path: z.string(), id: z.string(), sha256: z.string(), parameters: count }),
  ),
};
