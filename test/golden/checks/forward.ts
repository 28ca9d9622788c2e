/** @file forward.json: losses, scores and gradients of a small model with an adapter. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { EngineBatch } from '../../../core/engine/batch.ts';
import type { Engine, EngineAdapter } from '../../../core/engine/engine.ts';
import { emptyParameters } from '../../../core/engine/parameters.ts';
import type { Adapter } from '../../../core/model/adapter.ts';
import { configurationFromHuggingFace } from '../../../core/model/huggingface-configuration.ts';
import { openHuggingFaceWeights } from '../../../core/model/huggingface-weights.ts';
import { readModelJson } from '../../../core/model/json.ts';
import { inverseFrequencies } from '../../../core/model/rope.ts';
import { readSafetensors } from '../../../core/model/safetensors.ts';
import type { NamedTensors } from '../../../core/model/tensor.ts';
import type { WeightStore } from '../../../core/model/weights.ts';
import { answerTree } from '../../../core/training/answer-tree.ts';
import { absolute, check, norm, prefixed, relative, relativeToMaximum } from '../check.ts';
import type { Check } from '../check.ts';
import { batchShape, engineBatch, goldenAdapter, withEngine } from './engine.ts';

const batchFields = batchShape.extend({
  padding: z.string(),
  loss: z.number(),
  loss_base_model: z.number(),
  token_nll: z.array(z.object({ row: z.number(), target_position: z.number(), nll: z.number() })),
  logits: z.array(z.object({ row: z.number(), position: z.number(), values: z.array(z.number()) })),
  grads_file: z.string(),
  grad_global_norm: z.number(),
  grad_norms: z.record(z.string(), z.number()),
});
type ForwardBatch = z.infer<typeof batchFields>;
const fileShape = z.object({ inv_freq: z.array(z.number()), batches: z.array(batchFields) });

/** Everything for both spellings of the model's configuration, of transformers 4 and 5. */
export async function checkForward(file: string): Promise<Check[]> {
  const expected = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  const folder = dirname(file);
  const checks: Check[] = [];
  for (const name of ['config.json', 'config.v5.json']) {
    const path = join(folder, name);
    const configuration = configurationFromHuggingFace(readModelJson(path), path);
    const weights: WeightStore = { ...openHuggingFaceWeights(folder), configuration };
    const adapter = goldenAdapter(folder, weights);
    const found = await withEngine(weights, 'f32', async (engine) => {
      const frequencies = relative([...inverseFrequencies(configuration)], expected.inv_freq, 1e-12);
      const inner = [check('inverse frequencies', frequencies)];
      for (const [index, batch] of expected.batches.entries()) {
        const gradients = readSafetensors(join(folder, batch.grads_file));
        inner.push(...prefixed(`batch ${index}`, await checkBatch(engine, { adapter, batch, gradients })));
      }
      return inner;
    });
    checks.push(...prefixed(name, found));
  }
  return checks;
}

async function checkBatch(
  engine: Engine,
  expected: { adapter: Adapter; batch: ForwardBatch; gradients: NamedTensors },
): Promise<Check[]> {
  const { adapter, batch: file } = expected;
  const batch = engineBatch(file);
  const parameters = { configuration: adapter.configuration, parameters: adapter.tensors };
  const gradients = emptyParameters([...adapter.tensors].map(([name, { shape }]) => ({ name, shape })));
  const trained = await engine.lossAndGradients(batch, { ...parameters, gradients });
  const { loss, tokenLosses } = await engine.loss(batch, parameters);
  const base = await engine.loss(batch, null);
  const rows = file.logits.map(({ row, position }) => row * batch.length + position);
  const logits = await engine.logits(batch, rows, parameters);
  const predictedFrom = file.token_nll.map((token) => token.row * batch.length + token.target_position - 1);
  const kept = await lossesAfterBeginnings(engine, { adapter: parameters, batch, file });
  return [
    check('loss', absolute([loss, trained], [file.loss, file.loss], 1e-5)),
    check('loss of the base model', absolute([base.loss], [file.loss_base_model], 1e-5)),
    check('supervised tokens', absolute(batch.targets.places, predictedFrom, 0)),
    check(
      'token losses',
      absolute(
        tokenLosses,
        file.token_nll.map(({ nll }) => nll),
        1e-4,
      ),
    ),
    check(
      'token losses after a kept beginning',
      absolute(
        kept,
        file.token_nll.map(({ nll }) => nll),
        1e-4,
      ),
    ),
    check(
      'scores',
      absolute(
        logits,
        file.logits.flatMap(({ values }) => values),
        1e-4,
      ),
    ),
    ...checkGradients(gradients.tensors, expected),
  ];
}

/** The same losses, row by row, with all before the first target but one token computed ahead and kept. */
async function lossesAfterBeginnings(
  engine: Engine,
  { adapter, batch, file }: { adapter: EngineAdapter; batch: EngineBatch; file: ForwardBatch },
): Promise<number[]> {
  const found: number[] = [];
  for (const { row, start, length } of batch.segments) {
    const targets = file.token_nll.filter((token) => token.row === row);
    if (targets.length === 0) continue;
    const from = row * batch.length + start;
    const ids = batch.ids.subarray(from, from + length);
    const answer = targets[0].target_position - start;
    const after = await engine.beginning(ids.subarray(0, answer - 1), adapter);
    const losses = await engine.tokenLosses(answerTree([{ ids, answer }], answer - 1), adapter, after);
    found.push(...targets.map((token) => losses[token.target_position - start - answer]));
  }
  return found;
}

function checkGradients(
  found: NamedTensors,
  { batch, gradients }: { batch: ForwardBatch; gradients: NamedTensors },
): Check[] {
  const names = [...gradients.keys()];
  if (names.sort().join() !== [...found.keys()].sort().join()) {
    return [check('gradients', `of ${[...found.keys()].join(', ')}`)];
  }
  const data = (tensors: NamedTensors, name: string) => tensors.get(name)?.data ?? new Float32Array();
  const flat = (tensors: NamedTensors) => names.flatMap((name) => [...data(tensors, name)]);
  const [all, expected] = [flat(found), flat(gradients)];
  const product = all.reduce((sum, value, index) => sum + value * expected[index], 0);
  const each = names.map((name) =>
    check(`gradient ${name}`, relativeToMaximum(data(found, name), data(gradients, name), 5e-5)),
  );
  const norms = names.map((name) => norm(data(found, name)));
  return [
    ...each,
    check(
      'gradient norms',
      relative(
        norms,
        names.map((name) => batch.grad_norms[name]),
        1e-5,
      ),
    ),
    check('global gradient norm', relative([norm(all)], [batch.grad_global_norm], 1e-5)),
    check('direction of the gradients', absolute([product / (norm(all) * norm(expected))], [1], 1e-9)),
  ];
}
