/** @file A trainer that pretends: what it gives depends on nothing but its request, and it takes time as one does. */

import { machine, sleep } from '../../machine.ts';
import type { NamedTensors } from '../../model/tensor.ts';
import { Random } from '../../random.ts';
import type { RoundRequest, RoundResult, RoundTrainer } from '../../site/trainer.ts';

export interface PretendedTrainer extends RoundTrainer {
  /** Milliseconds that a step takes; it may change meanwhile. */
  stepMilliseconds: number;
  /** Gives numbers that are not finite from now on, once. */
  givesGarbage: boolean;
}

/** @param isTimed whether steps take time: in a simulation of faults, not where the result alone is wanted */
export function createPretendedTrainer(isTimed: boolean): PretendedTrainer {
  const trainer: PretendedTrainer = {
    stepMilliseconds: 1000,
    givesGarbage: false,
    train: async (request) => {
      const { steps } = request.plan.training;
      for (let step = 1; step <= steps; step++) {
        if (isTimed) await sleep(trainer.stepMilliseconds, request.signal);
        request.onStep({ step, steps, loss: 2 });
      }
      const result = pretend(request);
      if (!trainer.givesGarbage) return result;
      trainer.givesGarbage = false;
      const adapter = new Map(
        [...result.adapter].map(([name, tensor]) => [name, spoilt(tensor, machine.now())]),
      );
      return { ...result, adapter };
    },
    evaluate: ({ examples }) => Promise.resolve({ loss: 1, examples: examples.length }),
    close: () => Promise.resolve(),
  };
  return trainer;
}

function pretend({ base, controls, examples, seedParts }: RoundRequest): RoundResult {
  const moved = (tensors: NamedTensors, scale: number, ...parts: readonly string[]): NamedTensors =>
    new Map(
      [...tensors].map(([name, { shape, data }]) => {
        const random = new Random('pretended', ...seedParts, ...parts, name);
        return [name, { shape, data: data.map((value) => value + scale * (random.uniform() - 0.5)) }];
      }),
    );
  const adapter = moved(base, 0.1);
  const measured = { loss: 2, examples: examples.length, supervisedTokens: examples.length };
  if (controls === null) return { adapter, ...measured };
  const site = moved(controls.site, 0.1, 'control');
  const change = new Map(
    [...site].map(([name, { shape, data }]) => {
      const before = controls.site.get(name)?.data;
      return [name, { shape, data: data.map((value, index) => value - (before?.[index] ?? 0)) }];
    }),
  );
  return { adapter, controls: { site, change }, ...measured };
}

function spoilt<T extends { readonly data: Float32Array }>(tensor: T, at: number): T {
  const data = Float32Array.from(tensor.data);
  data[Math.floor(at) % data.length] = NaN;
  return { ...tensor, data };
}
