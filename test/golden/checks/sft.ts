/** @file sft.json: five steps of LoRA fine-tuning on a real four-bit model. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Precision } from '../../../core/engine/precisions.ts';
import type { EngineBatch } from '../../../core/engine/batch.ts';
import { emptyParameters } from '../../../core/engine/parameters.ts';
import type { Parameters } from '../../../core/engine/parameters.ts';
import { openGgufWeights } from '../../../core/model/gguf-weights.ts';
import { openGguf } from '../../../core/model/gguf.ts';
import { loraNames, loraShapes, targetedLinears } from '../../../core/model/lora.ts';
import type { LoraConfiguration } from '../../../core/model/lora.ts';
import type { WeightStore } from '../../../core/model/weights.ts';
import { clippingFactor, globalNorm } from '../../../core/training/clipping.ts';
import { adamW } from '../../../core/training/optimizers/adamw.ts';
import { absolute, check, norm, prefixed, relative } from '../check.ts';
import type { Check } from '../check.ts';
import { batchShape, engineBatch, withEngine } from './engine.ts';

const norms = z.record(z.string(), z.number());
const fileShape = z.object({
  batch: batchShape,
  lora: z.object({
    r: z.number(),
    alpha: z.number(),
    A_check: z.array(
      z.object({
        layer: z.number(),
        module: z.string(),
        first_4_of_row_0: z.array(z.number()),
        last_2_of_last_row: z.array(z.number()),
      }),
    ),
  }),
  optimizer: z.object({ lr: z.number(), weight_decay: z.number(), max_grad_norm: z.number() }),
  loss_after_steps_0_to_5: z.array(z.number()),
  loss_per_row_step_0: z.array(z.number()),
  grad_norm_before_clip_steps_1_to_5: z.array(z.number()),
  grads_at_step_0: z.object({
    lora_B_norms: norms,
    lora_B_first_8: z.record(z.string(), z.array(z.number())),
  }),
  lora_B_norm_after_step_1: norms,
  lora_B_norm_after_step_5: norms,
});
type Expected = z.infer<typeof fileShape>;

export async function checkSft(file: string, model: string, precision: Precision): Promise<Check[]> {
  const expected = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  const batch = engineBatch(expected.batch);
  const { lr: learningRate, weight_decay: weightDecay, max_grad_norm: maximum } = expected.optimizer;
  const weights = openGgufWeights(openGguf(model));
  const configuration: LoraConfiguration = {
    rank: expected.lora.r,
    alpha: expected.lora.alpha,
    targets: 'all-linear',
  };
  const shapes = loraShapes(weights.configuration, configuration);
  const parameters = startingPoint(weights, configuration);
  const gradients = emptyParameters(shapes);
  return withEngine(weights, precision, async (engine) => {
    const adapter = { configuration, parameters: parameters.tensors, gradients };
    const checks = [check('starting point', compareStart(parameters, expected))];
    const { tokenLosses } = await engine.loss(batch, adapter);
    const rows = absolute(meanByExample(batch, tokenLosses), expected.loss_per_row_step_0, 5e-5);
    checks.push(check('loss of each row', rows));
    const optimizer = adamW({ weightDecay });
    const state = optimizer.init([parameters.flat]);
    const losses: number[] = [];
    const gradientNorms: number[] = [];
    for (let step = 1; step < expected.loss_after_steps_0_to_5.length; step++) {
      losses.push(await engine.lossAndGradients(batch, adapter));
      if (step === 1) checks.push(...checkGradients(gradients, expected));
      const norm = globalNorm([gradients.flat]);
      gradientNorms.push(norm);
      optimizer.update({
        parameters: [parameters.flat],
        gradients: [gradients.flat],
        gradientScale: clippingFactor(norm, maximum),
        state,
        learningRate,
      });
      const after = { 1: expected.lora_B_norm_after_step_1, 5: expected.lora_B_norm_after_step_5 }[step];
      if (after) checks.push(check(`norms of B after step ${step}`, compareNorms(parameters, after)));
    }
    losses.push((await engine.loss(batch, adapter)).loss);
    return prefixed(precision, [
      ...checks,
      check('losses', absolute(losses, expected.loss_after_steps_0_to_5, 5e-5)),
      check('gradient norms', relative(gradientNorms, expected.grad_norm_before_clip_steps_1_to_5, 1e-4)),
    ]);
  });
}

/** A[i][j] = sin(0.37·(i+1)·(j+1) + layer + 0.1·module) / √columns and B = 0. */
function startingPoint({ configuration }: WeightStore, adapter: LoraConfiguration): Parameters {
  const parameters = emptyParameters(loraShapes(configuration, adapter));
  const inLayer = targetedLinears(configuration, adapter).length / configuration.layers;
  for (const [index, { module }] of targetedLinears(configuration, adapter).entries()) {
    const tensor = parameters.tensors.get(loraNames(module).A);
    if (!tensor) throw new Error(`no tensor of ${module}`);
    const columns = tensor.shape[1];
    const phase = Math.floor(index / inLayer) + 0.1 * (index % inLayer);
    for (let at = 0; at < tensor.data.length; at++) {
      const [i, j] = [Math.floor(at / columns), at % columns];
      tensor.data[at] = Math.sin(0.37 * (i + 1) * (j + 1) + phase) / Math.sqrt(columns);
    }
  }
  return parameters;
}

function compareStart({ tensors }: Parameters, { lora }: Expected): string | null {
  for (const { layer, module, ...values } of lora.A_check) {
    const block = /^[qkvo]_/.test(module) ? 'self_attn' : 'mlp';
    const data = tensors.get(loraNames(`model.layers.${layer}.${block}.${module}`).A)?.data;
    const found = data ? [...data.subarray(0, 4), ...data.subarray(-2)] : [];
    const difference = absolute(found, [...values.first_4_of_row_0, ...values.last_2_of_last_row], 1e-8);
    if (difference !== null) return `layer ${layer} ${module}: ${difference}`;
  }
  return null;
}

function meanByExample({ targets, examples }: EngineBatch, tokenLosses: Float32Array): number[] {
  const sums = Array.from({ length: examples }, () => ({ loss: 0, tokens: 0 }));
  targets.examples.forEach((example, index) => {
    sums[example].loss += tokenLosses[index];
    sums[example].tokens++;
  });
  return sums.map(({ loss, tokens }) => loss / tokens);
}

/** While B is zero nothing flows into A. */
function checkGradients({ tensors }: Parameters, { grads_at_step_0: expected }: Expected): Check[] {
  const intoA = [...tensors].filter(([name]) => name.endsWith('.lora_A.weight'));
  const first = Object.entries(expected.lora_B_first_8).map(([name, values]) => {
    const gradient = tensors.get(name)?.data ?? new Float32Array();
    const maximum = gradient.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    return check(`gradient ${name}`, absolute(gradient.subarray(0, 8), values, 2e-3 * maximum));
  });
  return [
    check(
      'gradients of A',
      intoA.every(([, { data }]) => data.every((value) => value === 0)) ? null : 'not 0',
    ),
    check('gradients of B, norms', compareNorms({ tensors }, expected.lora_B_norms)),
    ...first,
  ];
}

function compareNorms({ tensors }: Pick<Parameters, 'tensors'>, expected: Record<string, number>) {
  const found = Object.keys(expected).map((name) => norm(tensors.get(name)?.data ?? []));
  return relative(found, Object.values(expected), 1e-4);
}
