/** @file The steps of a training: gradients of an objective, clipping, the optimizer, one report each. */

import { emptyParameters, type Parameters } from '../engine/parameters.ts';
import { TributaryError } from '../errors.ts';
import type { BatchCounts, BatchResult, Objective } from './objectives/objective.ts';
import { stopIfAborted, type Observer } from './observer.ts';
import { adamW, clipGlobalNorm } from './optimizer.ts';
import type { StepReport, TrainRequest, TrainResult } from './requests.ts';

/**
 * Changes `parameters` in place, by steps with fresh moments, as each client-round of OpenFedLLM does.
 * @param gradients room for the gradients, of the parameters' names and shapes
 * @throws TributaryError `training.stopped` when the signal aborts, `training.not-finite`
 */
export async function trainSteps<Batch extends BatchCounts>(
  objective: Objective<Batch>,
  work: { request: TrainRequest; parameters: Parameters; gradients: Parameters },
  observer: Observer<StepReport>,
): Promise<TrainResult> {
  const { request, gradients } = work;
  const optimizer = adamW({ weightDecay: request.weightDecay });
  const parameters = [work.parameters.flat];
  const state = optimizer.init(parameters);
  const reports: StepReport[] = [];
  for (let step = 0; step < objective.steps; step++) {
    stopIfAborted(observer.signal);
    const started = performance.now();
    const batches = objective.batches(step);
    const { loss, metrics = {} } = await stepGradients(objective, batches, gradients);
    const gradientNorm = clipGlobalNorm([gradients.flat], request.maxGradientNorm);
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      throw new TributaryError('training.not-finite', `The loss of step ${step + 1} is not a finite number.`);
    }
    const { learningRate } = request;
    optimizer.update({ parameters, gradients: [gradients.flat], state, learningRate });
    const report = {
      step: step + 1,
      steps: objective.steps,
      loss,
      gradientNorm,
      metrics,
      ...countTokens(batches),
      seconds: (performance.now() - started) / 1000,
    };
    reports.push(report);
    observer.report?.(report);
  }
  return summarize(reports, objective.skipped);
}

/** Leaves the gradients of a whole step in `gradients`: the sum over its batches, each unit of weight alike. */
async function stepGradients<Batch extends BatchCounts>(
  objective: Objective<Batch>,
  batches: readonly Batch[],
  gradients: Parameters,
): Promise<BatchResult> {
  const share = 1 / batches.reduce((sum, batch) => sum + objective.weight(batch), 0);
  if (batches.length === 1) return objective.compute(batches[0], gradients, share);
  const sum = new Float32Array(gradients.flat.length);
  let loss = 0;
  const metrics: Record<string, number> = {};
  for (const batch of batches) {
    const part = await objective.compute(batch, gradients, share);
    loss += part.loss;
    for (const [name, value] of Object.entries(part.metrics ?? {}))
      metrics[name] = (metrics[name] ?? 0) + value;
    for (let index = 0; index < sum.length; index++) sum[index] += gradients.flat[index];
  }
  gradients.flat.set(sum);
  return { loss, metrics };
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
