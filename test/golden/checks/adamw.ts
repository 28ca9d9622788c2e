/** @file adamw.json: five optimizer steps with accumulation, under both ways of averaging. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { EngineBatch } from '../../../core/engine/batch.ts';
import type { Engine, EngineAdapter } from '../../../core/engine/engine.ts';
import { emptyParameters, packParameters } from '../../../core/engine/parameters.ts';
import type { Parameters } from '../../../core/engine/parameters.ts';
import type { Adapter } from '../../../core/model/adapter.ts';
import { openHuggingFaceWeights } from '../../../core/model/huggingface-weights.ts';
import { readSafetensors } from '../../../core/model/safetensors.ts';
import { clippingFactor, globalNorm } from '../../../core/training/clipping.ts';
import { adamW } from '../../../core/training/optimizers/adamw.ts';
import { absolute, check, prefixed, relative } from '../check.ts';
import type { Check } from '../check.ts';
import { batchShape, engineBatch, goldenAdapter, withEngine } from './engine.ts';

const caseShape = z.object({
  name: z.string(),
  lr: z.number(),
  weight_decay: z.number(),
  max_grad_norm: z.number(),
  reduction: z.enum(['micro_mean', 'token_mean']),
  loss: z.array(z.number()),
  grad_norm: z.array(z.number()),
  loss_of_first_micro_batch_after_last_step: z.number(),
  params_after_step: z.record(z.string(), z.string()),
});
type Case = z.infer<typeof caseShape>;
const fileShape = z.object({
  gradient_accumulation: z.number(),
  micro_batches: z.array(batchShape),
  cases: z.array(caseShape),
});

/** The model and the adapter lie in the folder `llama-tiny` beside the file's own. */
export async function checkAdamW(file: string): Promise<Check[]> {
  const expected = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  const folder = join(dirname(file), '..', 'llama-tiny');
  const weights = openHuggingFaceWeights(folder);
  const adapter = goldenAdapter(folder, weights);
  const batches = expected.micro_batches.map(engineBatch);
  const parts = expected.gradient_accumulation;
  const steps = Array.from({ length: batches.length / parts }, (_, step) =>
    batches.slice(step * parts, (step + 1) * parts),
  );
  return withEngine(weights, 'f32', async (engine) => {
    const checks: Check[] = [];
    for (const one of expected.cases) {
      checks.push(...prefixed(one.name, await checkCase(engine, { ...one, adapter, steps, file })));
    }
    return checks;
  });
}

async function checkCase(
  engine: Engine,
  expected: Case & { adapter: Adapter; steps: EngineBatch[][]; file: string },
): Promise<Check[]> {
  const { configuration, tensors } = expected.adapter;
  const parameters = packParameters(tensors);
  const gradients = emptyParameters([...tensors].map(([name, { shape }]) => ({ name, shape })));
  const trained = { configuration, parameters: parameters.tensors, gradients };
  const optimizer = adamW({ weightDecay: expected.weight_decay });
  const state = optimizer.init([parameters.flat]);
  const losses: number[] = [];
  const norms: number[] = [];
  const checks: Check[] = [];
  for (const [index, batches] of expected.steps.entries()) {
    losses.push(await accumulate(engine, trained, { batches, reduction: expected.reduction }));
    const norm = globalNorm([gradients.flat]);
    norms.push(norm);
    optimizer.update({
      parameters: [parameters.flat],
      gradients: [gradients.flat],
      gradientScale: clippingFactor(norm, expected.max_grad_norm),
      state,
      learningRate: expected.lr,
    });
    const file = expected.params_after_step[index + 1];
    if (file === undefined) continue;
    const name = `parameters after step ${index + 1}`;
    checks.push(check(name, compareParameters(parameters, join(dirname(expected.file), file))));
  }
  const after = await engine.loss(expected.steps[0][0], trained);
  const last = expected.loss_of_first_micro_batch_after_last_step;
  return [
    check('losses', absolute(losses, expected.loss, 1e-5)),
    check('gradient norms', relative(norms, expected.grad_norm, 1e-5)),
    ...checks,
    check('loss after the last step', absolute([after.loss], [last], 1e-5)),
  ];
}

/** Leaves the gradients of a whole step in `trained.gradients` and returns its loss. */
async function accumulate(
  engine: Engine,
  trained: EngineAdapter & { gradients: Parameters },
  { batches, reduction }: { batches: readonly EngineBatch[]; reduction: Case['reduction'] },
): Promise<number> {
  const counts = batches.map(({ targets }) => targets.places.length);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const sum = new Float64Array(trained.gradients.flat.length);
  let loss = 0;
  for (const [index, batch] of batches.entries()) {
    const share = reduction === 'token_mean' ? 1 / total : 1 / (batches.length * counts[index]);
    loss += await engine.lossAndGradients(batch, trained, share);
    trained.gradients.flat.forEach((value, at) => (sum[at] += value));
  }
  trained.gradients.flat.set(sum);
  return loss;
}

/** The 99.9 % quantile is strict; single entries may differ where a gradient is mostly rounding noise. */
function compareParameters({ tensors }: Parameters, file: string): string | null {
  const expected = readSafetensors(file);
  if (expected.size !== tensors.size) return `${tensors.size} tensors, expected ${expected.size}`;
  const differences = [...expected].flatMap(([name, { data }]) =>
    Array.from(data, (value, at) => Math.abs(value - (tensors.get(name)?.data[at] ?? NaN))),
  );
  if (differences.some(Number.isNaN)) return 'a tensor is missing or not finite';
  differences.sort((a, b) => a - b);
  const quantile = differences[Math.ceil(0.999 * differences.length) - 1];
  const largest = differences[differences.length - 1];
  return quantile <= 5e-7 && largest <= 1e-5 ? null : `99.9 % quantile ${quantile}, largest ${largest}`;
}
