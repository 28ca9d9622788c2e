import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Precision } from '../../core/engine/precisions.ts';
import { paddedBatch } from '../../core/engine/batch.ts';
import { Engine } from '../../core/engine/engine.ts';
import { emptyParameters, type Parameters } from '../../core/engine/parameters.ts';
import { initialAdapter, loraShapes, type LoraConfiguration } from '../../core/model/lora.ts';
import { openModel, type OpenModel } from '../../core/model/open.ts';
import { Random } from '../../core/random.ts';
import { tokenizeText } from '../../core/training/tokens.ts';
import { smollm2File, temporaryFolder } from '../model/fixtures.ts';

const smollm2 = smollm2File();

const lora: LoraConfiguration = { rank: 8, alpha: 16, targets: 'all-linear' };

/** Real sentences, answered: so is what the activations of a model in use look like. */
const examples = ['clinic-river', 'clinic-north', 'clinic-harbour'].flatMap((clinic) => {
  const path = join(import.meta.dirname, '../../resources/samples/clinics', clinic, 'train.jsonl');
  const lines = readFileSync(path, 'utf8').trim().split('\n').slice(0, 2);
  return lines.map((line) => JSON.parse(line) as { question: string; answer: string });
});

/** The loss of the examples and its gradients, at an adapter whose both factors act. */
async function gradientsAt(
  precision: Precision,
  model: OpenModel,
): Promise<{ loss: number; gradients: Parameters }> {
  const shapes = loraShapes(model.configuration, lora);
  const parameters = initialAdapter(model.configuration, lora, 1);
  const random = new Random('int8');
  for (const { data } of parameters.values()) {
    for (let at = 0; at < data.length; at++) data[at] += 0.02 * (random.uniform() - 0.5);
  }
  const texts = examples.flatMap(({ question, answer }) => {
    const [start, text] = [question.length + 1, `${question}\n${answer}`];
    return tokenizeText({ text, spans: [[start, text.length]] }, model.tokenizer, 128) ?? [];
  });
  const engine = new Engine(model.weights, {
    precision,
    device: 'cpu',
    threads: 2,
    cache: temporaryFolder(),
  });
  const gradients = emptyParameters(shapes);
  try {
    const batch = paddedBatch(texts, model.tokenizer.padding);
    const loss = await engine.lossAndGradients(batch, { configuration: lora, parameters, gradients });
    return { loss, gradients };
  } finally {
    await engine.release();
  }
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [product, first, second] = [0, 0, 0];
  for (let at = 0; at < a.length; at++) {
    product += a[at] * b[at];
    first += a[at] ** 2;
    second += b[at] ** 2;
  }
  return product / Math.sqrt(first * second);
}

describe('at precision int8', () => {
  it.skipIf(smollm2 === null)(
    'the gradients of SmolLM2 on real text point where those of float32 point, in all and each',
    async () => {
      const model = await openModel(smollm2 ?? '');
      try {
        const [exact, rounded] = [await gradientsAt('f32', model), await gradientsAt('int8', model)];
        expect(Math.abs(rounded.loss / exact.loss - 1)).toBeLessThan(0.01);
        expect(cosine(exact.gradients.flat, rounded.gradients.flat)).toBeGreaterThan(0.99);
        for (const [name, { data }] of exact.gradients.tensors) {
          const other = rounded.gradients.tensors.get(name)?.data ?? new Float32Array(data.length);
          expect(cosine(data, other), name).toBeGreaterThan(0.95);
        }
        // A precision that did nothing would agree in every bit.
        expect(rounded.loss).not.toBe(exact.loss);
      } finally {
        model.close();
      }
    },
    120_000,
  );

  it('another device than the CPU is refused', async () => {
    const model = await openModel('tiny');
    const open = () =>
      new Engine(model.weights, { precision: 'int8', device: 'webgpu', cache: temporaryFolder() });
    expect(open).toThrow(expect.objectContaining({ code: 'engine.precision-unavailable' }));
    model.close();
  });
});
