/** @file The steps of a training: gradients of an objective, clipping, the optimizer, one report each. */

import { emptyParameters, type Parameters } from '../engine/parameters.ts';
import { TributaryError } from '../errors.ts';
import type { Checkpoints } from './checkpoints.ts';
import { clippingFactor, globalNorm } from './clipping.ts';
import { driftCorrection } from './control-variates.ts';
import type { BatchCounts, BatchResult, Objective } from './objectives/objective.ts';
import { stopIfAborted, type Observer } from './observer.ts';
import type { OptimizerState } from './optimizers/optimizer.ts';
import { makeOptimizer } from './optimizers/table.ts';
import { sumMetrics, type PreferenceMetrics } from './preference.ts';
import { addProximalTerm } from './proximal.ts';
import { recovering, type Reopenable } from './recovery.ts';
import type { StepReport, TrainRequest, TrainResult } from './requests.ts';

/** What decides the steps once the examples are batches. */
export type StepOptions = Pick<
  TrainRequest,
  'learningRate' | 'weightDecay' | 'maxGradientNorm' | 'optimizer' | 'proximal' | 'controlVariates'
>;

/**
 * Changes `parameters` in place, by steps with fresh moments, as each client-round of OpenFedLLM does.
 * @param gradients room for the gradients, of the parameters' names and shapes
 * @param work `engine` is what the objective computes with, if steps shall go on where memory runs out or a device is
 * lost; `checkpoints`, if there are to be any, say where the training goes on
 * @throws TributaryError `training.stopped` when a signal aborts, `training.not-finite`, `checkpoint.*`
 */
export async function trainSteps<Batch extends BatchCounts>(
  given: Objective<Batch>,
  work: {
    options: StepOptions;
    parameters: Parameters;
    gradients: Parameters;
    engine?: Reopenable;
    checkpoints?: Checkpoints;
  },
  observer: Observer<StepReport>,
): Promise<TrainResult> {
  const { options, gradients, checkpoints } = work;
  const notes: string[] = [];
  const objective = work.engine ? recovering(given, work.engine, (sentence) => notes.push(sentence)) : given;
  const { learningRate, weightDecay, proximal } = options;
  const optimizer = makeOptimizer({ ...(options.optimizer ?? { name: 'adamw' }), weightDecay });
  const { flat } = work.parameters;
  const center = proximal && flat.slice();
  const drift = options.controlVariates && driftCorrection(work.parameters, options.controlVariates);
  const sumGradients = gradientSummer(objective, gradients);
  // Last, for it may move the parameters on from where the training started.
  const earlier = await checkpoints?.begin();
  const state = earlier?.state ?? optimizer.init([flat]);
  const reports: StepReport[] = [...(earlier?.reports ?? [])];
  for (let step = state.step; step < objective.steps; step++) {
    stopIfAborted(observer.signal);
    if (observer.finish?.aborted) throw await stopped({ reports, state }, objective.steps, checkpoints);
    const started = performance.now();
    const batches = objective.batches(step);
    const { loss: taskLoss, preference } = await sumGradients(batches);
    const loss =
      taskLoss +
      (proximal && center
        ? addProximalTerm({ ...proximal, center, parameters: flat, gradients: gradients.flat })
        : 0);
    const gradientNorm = globalNorm([gradients.flat]);
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      throw new TributaryError('training.not-finite', `The loss of step ${step + 1} is not a finite number.`);
    }
    const gradientScale = clippingFactor(gradientNorm, options.maxGradientNorm);
    optimizer.update({ parameters: [flat], gradients: [gradients.flat], gradientScale, state, learningRate });
    drift?.apply(learningRate);
    const happened = notes.splice(0);
    const report = {
      step: step + 1,
      steps: objective.steps,
      loss,
      gradientNorm,
      ...(preference && { preference }),
      ...countTokens(batches),
      ...(happened.length > 0 && { notes: happened }),
      seconds: (performance.now() - started) / 1000,
    };
    reports.push(report);
    observer.report?.(report);
    if (checkpoints?.due(state.step)) await checkpoints.save({ reports, state });
  }
  const controlVariates = drift?.finish(objective.steps, learningRate);
  return { ...summarize(reports, objective.skipped), ...(controlVariates && { controlVariates }) };
}

/** Makes a checkpoint of a training that is to end here, and the error that says so. */
async function stopped(
  progress: { reports: readonly StepReport[]; state: OptimizerState },
  steps: number,
  checkpoints: Checkpoints | undefined,
): Promise<TributaryError> {
  const { step } = progress.state;
  const what = `The training was stopped after step ${step} of ${steps}`;
  if (!checkpoints || step === 0) return new TributaryError('training.stopped', `${what}.`);
  const path = await checkpoints.save(progress);
  return new TributaryError('training.stopped', `${what}; its checkpoint is ${path}.`, {
    hint: 'Repeat the command with --resume to go on from there.',
  });
}

/**
 * A function that leaves the gradients of a whole step in `gradients`: the sum over its batches, each unit of weight
 * alike. Its room for sums is kept from step to step.
 */
function gradientSummer<Batch extends BatchCounts>(
  objective: Objective<Batch>,
  gradients: Parameters,
): (batches: readonly Batch[]) => Promise<BatchResult> {
  let sum: Float32Array | null = null;
  return async (batches) => {
    const share = 1 / batches.reduce((total, batch) => total + objective.weight(batch), 0);
    if (batches.length === 1) return objective.compute(batches[0], gradients, share);
    sum ??= new Float32Array(gradients.flat.length);
    sum.fill(0);
    let loss = 0;
    const preferences: PreferenceMetrics[] = [];
    for (const batch of batches) {
      const part = await objective.compute(batch, gradients, share);
      loss += part.loss;
      if (part.preference) preferences.push(part.preference);
      for (let i = 0; i < sum.length; i++) sum[i] += gradients.flat[i];
    }
    gradients.flat.set(sum);
    return { loss, ...(preferences.length > 0 && { preference: sumMetrics(preferences) }) };
  };
}

/** Room for the gradients of these parameters. */
export function gradientsOf({ tensors }: Parameters): Parameters {
  return emptyParameters([...tensors].map(([name, { shape }]) => ({ name, shape })));
}

function countTokens(batches: readonly BatchCounts[]): BatchCounts {
  const sum = (key: keyof BatchCounts) => batches.reduce((total, batch) => total + batch[key], 0);
  return {
    tokens: sum('tokens'),
    supervisedTokens: sum('supervisedTokens'),
    places: sum('places'),
    padding: sum('padding'),
  };
}

function summarize(steps: readonly StepReport[], skipped: number): TrainResult {
  const sum = (key: 'loss' | 'tokens' | 'supervisedTokens' | 'places' | 'padding') =>
    steps.reduce((total, step) => total + step[key], 0);
  return {
    steps,
    loss: sum('loss') / steps.length,
    tokens: sum('tokens'),
    supervisedTokens: sum('supervisedTokens'),
    places: sum('places'),
    paddingShare: sum('padding') / sum('places'),
    skipped,
  };
}
