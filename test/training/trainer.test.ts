import { describe, expect, it } from 'vitest';

import { initialAdapter } from '../../core/model/lora.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import type { Example } from '../../core/training/examples.ts';
import type { TrainRequest } from '../../core/training/requests.ts';
import { Trainer } from '../../core/training/trainer.ts';
import { largestDifference } from '../helpers/numbers.ts';

const lora = { rank: 4, alpha: 8, targets: 'all-linear' as const };
const examples: Example[] = Array.from({ length: 12 }, (_, index) => ({
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
  steps: 6,
  learningRate: 5e-3,
  weightDecay: 0,
  maxGradientNorm: 1,
  seedParts: [7, 0, 'clinic'],
} satisfies TrainRequest;

async function openTrainer(precision: 'f32' | 'int4' = 'f32') {
  const trainer = await Trainer.open({ model: 'tiny', precision, device: 'cpu', threads: 1 });
  trainer.setAdapter({ configuration: lora, tensors: initialAdapter(TINY_CONFIGURATION, lora, 7) });
  return trainer;
}

describe('training', () => {
  it('lowers the loss on the examples and leaves the base model alone', async () => {
    const trainer = await openTrainer();
    const before = await trainer.evaluate({ ...request, batchSize: 4 });
    const trained = await trainer.train({ ...request, steps: 30 });
    const after = await trainer.evaluate({ ...request, batchSize: 4 });
    expect(trained.steps).toHaveLength(30);
    expect(after.loss).toBeLessThan(before.loss - 0.5);
    expect(after.perplexity).toBeCloseTo(Math.exp(after.loss), 10);
    trainer.setAdapter(null);
    expect((await trainer.evaluate({ ...request, batchSize: 4 })).loss).toBe(before.loss);
    await trainer.close();
  });

  it('repeats bit for bit under one seed and differs under another', async () => {
    const results = [];
    for (const seed of [7, 7, 8]) {
      const trainer = await openTrainer();
      await trainer.train({ ...request, seedParts: [seed, 0, 'clinic'] });
      results.push(
        Buffer.concat([...(trainer.adapter ?? [])].map(([, { data }]) => Buffer.from(data.slice().buffer))),
      );
      await trainer.close();
    }
    expect(results[0].equals(results[1])).toBe(true);
    expect(results[0].equals(results[2])).toBe(false);
  });

  it('computes a step in parts to the same gradients', async () => {
    const losses: number[][] = [];
    for (const microBatchSize of [4, 1]) {
      const trainer = await openTrainer();
      const { steps } = await trainer.train({ ...request, microBatchSize });
      losses.push(steps.map(({ loss, gradientNorm }) => [loss, gradientNorm]).flat());
      await trainer.close();
    }
    losses[0].forEach((value, index) => expect(losses[1][index]).toBeCloseTo(value, 4));
  });

  it('computes the same with four-bit weights kept packed', async () => {
    const losses: number[][] = [];
    for (const precision of ['f32', 'int4'] as const) {
      const trainer = await openTrainer(precision);
      losses.push((await trainer.train(request)).steps.map(({ loss }) => loss));
      await trainer.close();
    }
    losses[0].forEach((value, index) => expect(losses[1][index]).toBeCloseTo(value, 4));
  });

  it('evaluates each example as if it were alone', async () => {
    const trainer = await openTrainer();
    const together = await trainer.evaluate({ ...request, batchSize: 12 });
    for (const index of [0, 5]) {
      const alone = await trainer.evaluate({ ...request, examples: [examples[index]], batchSize: 1 });
      expect(alone.examples[0].loss).toBeCloseTo(together.examples[index].loss, 3);
    }
    await trainer.close();
  });

  it('stops between steps when asked to', async () => {
    const trainer = await openTrainer();
    const controller = new AbortController();
    const stopped = trainer.train(request, {
      signal: controller.signal,
      report: ({ step }) => step === 2 && controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'training.stopped' });
    await trainer.close();
  });

  it('refuses lengths and prompts beyond what the model takes', async () => {
    const trainer = await openTrainer();
    const beyond = { ...request, maxLength: TINY_CONFIGURATION.maximumPositions + 1 };
    const expected = { code: 'model.context-length' };
    await expect(trainer.train(beyond)).rejects.toMatchObject(expected);
    await expect(trainer.evaluate(beyond)).rejects.toMatchObject(expected);
    const messages = [{ role: 'user', content: 'x'.repeat(TINY_CONFIGURATION.maximumPositions) }] as const;
    const asked = {
      messages,
      template: 'chat',
      maxTokens: 1,
      seed: 0,
      temperature: 0,
      topK: 0,
      topP: 1,
    } as const;
    await expect(trainer.generate(asked)).rejects.toMatchObject(expected);
    await trainer.close();
  });

  it('refuses an adapter of another shape, naming the tensor', async () => {
    const trainer = await openTrainer();
    const other = initialAdapter({ ...TINY_CONFIGURATION, hiddenSize: 32 }, lora, 1);
    expect(() => trainer.setAdapter({ configuration: lora, tensors: other })).toThrow(
      /layers\.0\.self_attn\.q_proj/,
    );
    await trainer.close();
  });
});

describe('generation', () => {
  const question = {
    messages: [{ role: 'user' as const, content: 'How warm is room 2?' }],
    template: 'chat' as const,
    maxTokens: 12,
    seed: 3,
    temperature: 0,
    topK: 0,
    topP: 1,
  };

  it('says what it was trained to say', async () => {
    const trainer = await openTrainer();
    const warm = examples.filter((_, index) => index % 2 === 0);
    await trainer.train({ ...request, examples: warm, steps: 60, learningRate: 1e-2 });
    expect((await trainer.generate(question)).text).toBe('It is warm.');
    await trainer.close();
  });

  it('repeats under one seed when sampling', async () => {
    const trainer = await openTrainer();
    const sampled = { ...question, temperature: 1.5, topK: 50, topP: 0.95 };
    const first = await trainer.generate(sampled);
    expect((await trainer.generate(sampled)).text).toBe(first.text);
    expect(first.tokens).toBe(12);
    await trainer.close();
  });

  it('says why it ended, and streams what it answers', async () => {
    const trainer = await openTrainer();
    const warm = examples.filter((_, index) => index % 2 === 0);
    await trainer.train({ ...request, examples: warm, steps: 60, learningRate: 1e-2 });
    const ask = async (more: object, signal?: AbortSignal) => {
      const deltas: string[] = [];
      const options = {
        report: ({ delta }: { delta: string }) => deltas.push(delta),
        ...(signal && { signal }),
      };
      const answer = await trainer.generate({ ...question, exact: true, maxTokens: 40, ...more }, options);
      expect(deltas.join('')).toBe(answer.text);
      return answer;
    };
    expect(await ask({})).toMatchObject({ text: 'It is warm.', finish: 'stop', tokens: 11 });
    expect(await ask({ maxTokens: 5 })).toMatchObject({ text: 'It is', finish: 'length', tokens: 5 });
    expect(await ask({ stop: ['warm', ' wa'] })).toMatchObject({ text: 'It is', finish: 'stop' });
    expect(await ask({}, AbortSignal.abort())).toMatchObject({ text: 'I', finish: 'stopped', tokens: 1 });
    const almostFull = Array.from(
      { length: TINY_CONFIGURATION.maximumPositions - 2 },
      (_, index) => index % 256,
    );
    expect(await ask({ tokens: almostFull, throughEnd: true })).toMatchObject({
      finish: 'context',
      tokens: 3,
    });
    await trainer.close();
  });
});

describe('what strategies add to local training', () => {
  it('ties the adapter to where it started, as FedProx asks', async () => {
    const moved: number[] = [];
    for (const mu of [0, 10]) {
      const trainer = await openTrainer();
      const start = [...(trainer.adapter ?? [])].flatMap(([, { data }]) => [...data]);
      const { steps } = await trainer.train({ ...request, steps: 20, proximal: { mu } });
      const end = [...(trainer.adapter ?? [])].flatMap(([, { data }]) => [...data]);
      moved.push(Math.hypot(...end.map((value, index) => value - start[index])));
      if (mu > 0) expect(steps[19].loss).toBeGreaterThan(0);
      await trainer.close();
    }
    expect(moved[1]).toBeLessThan(0.5 * moved[0]);
  });

  it('changes nothing with equal control variates, and tells how the client’s changes', async () => {
    const trainer = await openTrainer();
    const start = new Map([...(trainer.adapter ?? [])].map(([name, { data }]) => [name, data.slice()]));
    const zeros = new Map(
      [...(trainer.adapter ?? [])].map(([name, { shape, data }]) => [
        name,
        { shape, data: new Float32Array(data.length) },
      ]),
    );
    const plain = await openTrainer();
    await plain.train(request);
    const { controlVariates } = await trainer.train({
      ...request,
      controlVariates: { server: zeros, client: zeros },
    });
    expect(trainer.adapter).toEqual(plain.adapter);
    for (const [name, { data }] of controlVariates?.change ?? []) {
      const end = trainer.adapter?.get(name)?.data ?? [];
      const expected = data.map(
        (_, index) =>
          ((start.get(name)?.[index] ?? NaN) - end[index]) / (request.steps * request.learningRate),
      );
      expect(largestDifference(data, expected)).toBeLessThan(5e-4);
    }
    expect(controlVariates?.change.size).toBe(start.size);
    await trainer.close();
    await plain.close();
  });

  it('trains with gradient descent and momentum when asked to', async () => {
    const trainer = await openTrainer();
    const optimizer = { name: 'sgd', momentum: 0.9 } as const;
    const { steps } = await trainer.train({ ...request, steps: 40, learningRate: 0.1, optimizer });
    expect(steps[39].loss).toBeLessThan(steps[0].loss - 0.5);
    await trainer.close();
  });
});
