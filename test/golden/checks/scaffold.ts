/** @file scaffold.json: a client round with control variates, through the training loop. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { packParameters } from '../../../core/engine/parameters.ts';
import { openHuggingFaceWeights } from '../../../core/model/huggingface-weights.ts';
import { readSafetensors } from '../../../core/model/safetensors.ts';
import type { NamedTensors } from '../../../core/model/tensor.ts';
import type { Objective } from '../../../core/training/objectives/objective.ts';
import { gradientsOf, trainSteps } from '../../../core/training/training-loop.ts';
import { absolute, check, relative } from '../check.ts';
import type { Check } from '../check.ts';
import { batchShape, engineBatch, goldenAdapter, withEngine } from './engine.ts';

const fileShape = z.object({
  K: z.number(),
  lr: z.number(),
  optimizer: z.object({ type: z.literal('AdamW'), weight_decay: z.number(), max_grad_norm: z.number() }),
  batches: z.array(batchShape),
  inputs: z.object({ c: z.string(), c_k: z.string() }),
  outputs: z.object({ p: z.string(), c_k_plus: z.string(), delta_c_k: z.string() }),
  loss: z.array(z.number()),
  grad_norm_before_clip: z.array(z.number()),
});

/** The model and the adapter lie in the folder `llama-tiny` beside the file's own. */
export async function checkScaffold(file: string): Promise<Check[]> {
  const expected = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  const folder = dirname(file);
  const weights = openHuggingFaceWeights(join(folder, '..', 'llama-tiny'));
  const { configuration, tensors } = goldenAdapter(join(folder, '..', 'llama-tiny'), weights);
  const parameters = packParameters(tensors);
  const read = (name: string) => readSafetensors(join(folder, name));
  return withEngine(weights, 'f32', async (engine) => {
    const batches = expected.batches.map(engineBatch).map((batch) => ({
      ...batch,
      tokens: batch.ids.length,
      supervisedTokens: batch.targets.places.length,
      places: batch.ids.length,
      padding: 0,
    }));
    const objective: Objective<(typeof batches)[number]> = {
      steps: expected.K,
      skipped: 0,
      batches: (step) => [batches[step]],
      size: () => 1,
      halve: () => {
        throw new Error('one example cannot be halved');
      },
      weight: ({ supervisedTokens }) => supervisedTokens,
      compute: async (batch, gradients, share) => ({
        loss: await engine.lossAndGradients(
          batch,
          { configuration, parameters: parameters.tensors, gradients },
          share,
        ),
      }),
    };
    const options = {
      learningRate: expected.lr,
      weightDecay: expected.optimizer.weight_decay,
      maxGradientNorm: expected.optimizer.max_grad_norm,
      controlVariates: { server: read(expected.inputs.c), client: read(expected.inputs.c_k) },
    };
    const work = { options, parameters, gradients: gradientsOf(parameters) };
    const { steps, controlVariates } = await trainSteps(objective, work, {});
    const losses = steps.map(({ loss }) => loss);
    const norms = steps.map(({ gradientNorm }) => gradientNorm);
    const outputs = expected.outputs;
    return [
      check('losses', absolute(losses, expected.loss, 1e-5)),
      check('gradient norms', relative(norms, expected.grad_norm_before_clip, 1e-5)),
      check('p', compare(parameters.tensors, read(outputs.p), [5e-7, 1e-5])),
      check('c_k⁺', compare(controlVariates?.client, read(outputs.c_k_plus), [5e-4, 1e-2])),
      check('Δc_k', compare(controlVariates?.change, read(outputs.delta_c_k), [5e-4, 1e-2])),
    ];
  });
}

/** The 99.9 % quantile of the differences is strict, the largest looser: c_k⁺ divides small ones by K·lr. */
function compare(
  got: NamedTensors | undefined,
  expected: NamedTensors,
  [quantileLimit, limit]: readonly [number, number],
): string | null {
  if (got?.size !== expected.size) return `${got?.size ?? 0} tensors, expected ${expected.size}`;
  const differences = [...expected].flatMap(([name, { data }]) =>
    Array.from(data, (value, at) => Math.abs(value - (got.get(name)?.data[at] ?? NaN))),
  );
  if (differences.some(Number.isNaN)) return 'a tensor is missing or not finite';
  differences.sort((a, b) => a - b);
  const quantile = differences[Math.ceil(0.999 * differences.length) - 1];
  const largest = differences[differences.length - 1];
  return quantile <= quantileLimit && largest <= limit
    ? null
    : `99.9 % quantile ${quantile}, largest ${largest}`;
}
