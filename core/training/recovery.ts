/** @file Goes on with a training when memory runs out or a device is lost in the middle of a step. */

import type { Device } from '../engine/devices.ts';
import { troubleOf } from '../engine/trouble.ts';
import type { Parameters } from '../engine/parameters.ts';
import { TributaryError } from '../errors.ts';
import type { BatchCounts, BatchResult, Objective } from './objectives/objective.ts';
import { sumMetrics, type PreferenceMetrics } from './preference.ts';

/** What recovery needs of an engine. */
export interface Reopenable {
  readonly device: Device;
  /** Closes all sessions; what comes next opens them anew, on `device`. */
  reopen(device: Device): Promise<void>;
}

/** A device that was lost more often than this in one training is given up. */
const LOSSES = 2;

/**
 * The objective, computed in smaller parts where memory runs out: a batch that does not fit is halved, and from then
 * on no batch holds more examples than its half. A step's gradients are sums over its batches, so that they stay the
 * same up to rounding; with dropout the halves draw anew. A lost device is opened again and, when that happens
 * repeatedly, given up for the CPU.
 * @param say told in a sentence what happened and what follows
 */
export function recovering<Batch extends BatchCounts>(
  objective: Objective<Batch>,
  engine: Reopenable,
  say: (sentence: string) => void,
): Objective<Batch> {
  let limit = Infinity;
  let losses = 0;

  const fitting = (batch: Batch): readonly Batch[] => {
    if (objective.size(batch) <= limit) return [batch];
    return objective.halve(batch).flatMap(fitting);
  };

  async function sumOf(parts: readonly Batch[], gradients: Parameters, share: number): Promise<BatchResult> {
    const sum = new Float32Array(gradients.flat.length);
    let loss = 0;
    const preferences: PreferenceMetrics[] = [];
    for (const part of parts) {
      const result = await compute(part, gradients, share);
      loss += result.loss;
      if (result.preference) preferences.push(result.preference);
      for (let i = 0; i < sum.length; i++) sum[i] += gradients.flat[i];
    }
    gradients.flat.set(sum);
    return { loss, ...(preferences.length > 0 && { preference: sumMetrics(preferences) }) };
  }

  async function afterLoss(): Promise<void> {
    const { device } = engine;
    if (++losses <= LOSSES) {
      await engine.reopen(device);
      say(`${device} was lost in the middle of a step. It is opened again and the step is repeated.`);
    } else {
      await engine.reopen('cpu');
      say(`${device} was lost ${losses} times. The CPU goes on with the training.`);
    }
  }

  async function compute(batch: Batch, gradients: Parameters, share: number): Promise<BatchResult> {
    if (objective.size(batch) > limit) return sumOf(fitting(batch), gradients, share);
    try {
      return await objective.compute(batch, gradients, share);
    } catch (error) {
      const trouble = troubleOf(error);
      // The CPU is not lost.
      if (trouble === null || (trouble === 'device-lost' && engine.device === 'cpu')) throw error;
      if (trouble === 'device-lost') {
        await afterLoss();
        return compute(batch, gradients, share);
      }
      const size = objective.size(batch);
      if (size === 1) throw outOfMemory(batch, error);
      await engine.reopen(engine.device);
      limit = Math.ceil(size / 2);
      say(
        `${size} examples at once do not fit into memory. From here on at most ${limit} are computed at once.`,
      );
      return compute(batch, gradients, share);
    }
  }

  return {
    ...objective,
    batches: (step) => objective.batches(step).flatMap(fitting),
    compute,
  };
}

function outOfMemory({ tokens }: BatchCounts, cause: unknown): TributaryError {
  return new TributaryError(
    'engine.out-of-memory',
    `A single example, of ${tokens} tokens, does not fit into memory.`,
    { cause },
  );
}
