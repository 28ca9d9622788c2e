/** @file fedprox.json: the loss and its gradients with the proximal term. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { emptyParameters, packParameters } from '../../../core/engine/parameters.ts';
import { openHuggingFaceWeights } from '../../../core/model/huggingface-weights.ts';
import { readSafetensors } from '../../../core/model/safetensors.ts';
import { globalNorm } from '../../../core/training/clipping.ts';
import { addProximalTerm } from '../../../core/training/proximal.ts';
import { check, prefixed, relative, relativeToMaximum } from '../check.ts';
import type { Check } from '../check.ts';
import { batchShape, engineBatch, goldenAdapter, withEngine } from './engine.ts';

const fileShape = z.object({
  global_weights_file: z.string(),
  batch: batchShape,
  cases: z.array(
    z.object({
      mu: z.number(),
      prox_term: z.number(),
      loss: z.number(),
      grads_file: z.string(),
      grad_global_norm: z.number(),
    }),
  ),
});

/** The model and the adapter lie in the folder `llama-tiny` beside the file's own. */
export async function checkFedProx(file: string): Promise<Check[]> {
  const expected = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  const folder = dirname(file);
  const weights = openHuggingFaceWeights(join(folder, '..', 'llama-tiny'));
  const { configuration, tensors } = goldenAdapter(join(folder, '..', 'llama-tiny'), weights);
  const names = [...tensors.keys()];
  const read = (name: string) => {
    const given = readSafetensors(join(folder, name));
    return names.map((tensor) => given.get(tensor)?.data ?? new Float32Array());
  };
  const center = Float32Array.from(read(expected.global_weights_file).flatMap((data) => [...data]));
  const parameters = packParameters(tensors);
  return withEngine(weights, 'f32', async (engine) => {
    const checks: Check[] = [];
    for (const one of expected.cases) {
      const gradients = emptyParameters([...tensors].map(([name, { shape }]) => ({ name, shape })));
      const trained = { configuration, parameters: parameters.tensors, gradients };
      const task = await engine.lossAndGradients(engineBatch(expected.batch), trained);
      const term = addProximalTerm({
        mu: one.mu,
        parameters: parameters.flat,
        center,
        gradients: gradients.flat,
      });
      const worst = read(one.grads_file)
        .map((values, index) => {
          const difference = relativeToMaximum(gradients.tensors.get(names[index])?.data ?? [], values, 5e-5);
          return difference && `${names[index]}: ${difference}`;
        })
        .find((difference) => difference !== null);
      checks.push(
        ...prefixed(`μ ${one.mu}`, [
          check('proximal term', relative([term], [one.prox_term], 1e-6)),
          check('loss', relative([task + term], [one.loss], 1e-6)),
          check('gradients', worst ?? null),
          check('gradient norm', relative([globalNorm([gradients.flat])], [one.grad_global_norm], 1e-5)),
        ]),
      );
    }
    return checks;
  });
}
