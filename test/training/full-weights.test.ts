import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Engine } from '../../core/engine/engine.ts';
import { configurationFromHuggingFace } from '../../core/model/huggingface-configuration.ts';
import { openHuggingFaceWeights } from '../../core/model/huggingface-weights.ts';
import { configurationJson, TOKENIZER_GGUF, writeModelFolder } from '../../core/model/model-folder.ts';
import { openModel } from '../../core/model/open.ts';
import { openGguf } from '../../core/model/gguf.ts';
import { tokenizerFromGguf } from '../../core/model/tokenizers/from-gguf.ts';
import type { Example } from '../../core/training/examples.ts';
import { fullTrainingBytes, fullWeights } from '../../core/training/full-weights.ts';
import type { TrainRequest } from '../../core/training/requests.ts';
import { Trainer } from '../../core/training/trainer.ts';
import { gradientsOf } from '../../core/training/training-loop.ts';
import { batchShape, engineBatch } from '../golden/checks/engine.ts';
import { codeOfAsync } from '../helpers/errors.ts';
import { smollm2File, temporaryFolder } from '../model/fixtures.ts';

const golden = join(import.meta.dirname, '../golden');
const gradientsFile = z.record(
  z.string(),
  z.object({
    loss: z.number(),
    gradients: z.record(
      z.string(),
      z.object({ norm: z.number(), probe: z.number(), first: z.array(z.number()) }),
    ),
  }),
);
const expected = gradientsFile.parse(JSON.parse(readFileSync(join(golden, 'full/gradients.json'), 'utf8')));
const forward = z.object({ batches: z.array(batchShape) });

const examples: Example[] = Array.from({ length: 8 }, (_, index) => ({
  kind: 'conversation',
  messages: [
    { role: 'user', content: `How warm is room ${index}?` },
    { role: 'assistant', content: index % 2 === 0 ? 'It is warm.' : 'It is cold there.' },
  ],
}));
const request = {
  examples,
  template: 'chat',
  maxLength: 128,
  batchSize: 4,
  steps: 10,
  learningRate: 2e-3,
  weightDecay: 0,
  maxGradientNorm: 1,
  seedParts: [7],
} satisfies TrainRequest;

const openFull = (model: string) =>
  Trainer.open({ model, precision: 'auto', device: 'cpu', threads: 1, trains: 'weights' });

describe('gradients of all weights', () => {
  it.each(Object.keys(expected))('of %s are those of transformers in float64', async (name) => {
    const { store, parameters } = fullWeights(openHuggingFaceWeights(join(golden, name)));
    const engine = new Engine(store, {
      precision: 'f32',
      device: 'cpu',
      threads: 1,
      cache: temporaryFolder(),
    });
    const { batches } = forward.parse(JSON.parse(readFileSync(join(golden, name, 'forward.json'), 'utf8')));
    const gradients = gradientsOf(parameters);
    const loss = await engine.weightGradients(engineBatch(batches[0]), gradients);
    await engine.release();
    store.close();
    expect(loss).toBeCloseTo(expected[name].loss, 5);
    expect([...gradients.tensors.keys()].sort()).toEqual(Object.keys(expected[name].gradients).sort());
    for (const [tensor, { norm, probe, first }] of Object.entries(expected[name].gradients)) {
      const data = gradients.tensors.get(tensor)?.data ?? new Float32Array();
      const found = data.reduce((sum, value, index) => sum + value * Math.cos(0.37 * index + 0.1), 0);
      expect(Math.abs(Math.hypot(...data) - norm) / norm).toBeLessThan(2e-5);
      expect(Math.abs(found - probe) / norm).toBeLessThan(2e-4);
      first.forEach((value, index) => expect(Math.abs(data[index] - value) / norm).toBeLessThan(1e-5));
    }
  });
});

describe('training all weights', () => {
  it('lowers the loss, repeats bit for bit, and leaves a folder that opens with what was learned', async () => {
    const folders = [];
    for (let time = 0; time < 2; time++) {
      const trainer = await openFull('tiny');
      const before = await trainer.evaluate({ ...request, batchSize: 4 });
      await trainer.train(request);
      const after = await trainer.evaluate({ ...request, batchSize: 4 });
      expect(after.loss).toBeLessThan(before.loss - 0.5);
      const folder = join(temporaryFolder(), 'model');
      folders.push(folder);
      await trainer.saveModel(folder);
      await trainer.close();
      const again = await Trainer.open({ model: folder, precision: 'auto', device: 'cpu', threads: 1 });
      expect((await again.evaluate({ ...request, batchSize: 4 })).loss).toBe(after.loss);
      await again.close();
    }
    const weights = folders.map((folder) => readFileSync(join(folder, 'model.safetensors')));
    expect(weights[0].equals(weights[1])).toBe(true);
    expect(readdirSync(folders[0]).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });

  it('goes on from a folder, whose other files are copied', async () => {
    const folder = join(temporaryFolder(), 'model');
    const first = await openFull('tiny');
    await first.saveModel(folder);
    await first.close();
    writeFileSync(join(folder, 'generation_config.json'), '{"max_length": 7}');
    const second = await openFull(folder);
    await second.train({ ...request, steps: 1 });
    const copy = join(temporaryFolder(), 'copy');
    await second.saveModel(copy);
    await second.close();
    for (const name of ['config.json', 'tokenizer.json', 'generation_config.json']) {
      expect(readFileSync(join(copy, name), 'utf8')).toBe(readFileSync(join(folder, name), 'utf8'));
    }
    expect(readFileSync(join(copy, 'model.safetensors')).equals(readFileSync(join(folder, 'model.safetensors')))).toBe(false); // prettier-ignore
  });

  it('is refused at another precision and on pairs', async () => {
    const options = { model: 'tiny', device: 'cpu', trains: 'weights' } as const;
    expect(await codeOfAsync(() => Trainer.open({ ...options, precision: 'int4' }))).toBe('training.full-weights'); // prettier-ignore
    const trainer = await openFull('tiny');
    expect(await codeOfAsync(() => trainer.train({ ...request, objective: 'dpo' }))).toBe('training.full-weights'); // prettier-ignore
    await trainer.close();
  });

  it('takes sixteen bytes a parameter', () => {
    expect(fullTrainingBytes(1000)).toBe(16_000);
  });
});

describe('a folder of a model', () => {
  it.each(['llama-tiny', 'llama3-rope-tiny', 'qwen2-tiny', 'qwen3-tiny', 'mistral-tiny', 'tinyllama-tiny'])(
    'describes %s as it is',
    (name) => {
      const path = join(golden, name, 'config.json');
      const configuration = configurationFromHuggingFace(JSON.parse(readFileSync(path, 'utf8')), path);
      expect(configurationFromHuggingFace(configurationJson(configuration), 'written')).toEqual(
        configuration,
      );
    },
  );

  it.skipIf(smollm2File() === null)(
    'made of a GGUF file has its configuration and its tokenizer',
    async () => {
      const model = await openModel(smollm2File() ?? '');
      const folder = temporaryFolder();
      await writeModelFolder(folder, { files: model.files(), tensors: new Map() });
      const path = join(folder, 'config.json');
      const configuration = configurationFromHuggingFace(JSON.parse(readFileSync(path, 'utf8')), path);
      expect(configuration).toEqual(model.configuration);
      const gguf = openGguf(join(folder, TOKENIZER_GGUF));
      expect(gguf.tensors.size).toBe(0);
      const text = '<|im_start|>user\nGrüße, 2026!<|im_end|>\n';
      expect(tokenizerFromGguf(gguf).encode(text, { special: true })).toEqual(model.tokenizer.encode(text, { special: true })); // prettier-ignore
      gguf.close();
      model.close();
    },
  );
});
