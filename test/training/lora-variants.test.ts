import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { initialAdapter, isTrainable, type LoraConfiguration } from '../../core/model/lora.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import type { TrainRequest } from '../../core/training/requests.ts';
import { Trainer } from '../../core/training/trainer.ts';
import { temporaryFolder } from '../model/fixtures.ts';

const request: TrainRequest = {
  examples: Array.from({ length: 8 }, (_, index) => ({
    kind: 'conversation',
    messages: [
      { role: 'user', content: `How warm is room ${index}?` },
      { role: 'assistant', content: index % 2 === 0 ? 'It is warm.' : 'It is cold there.' },
    ],
  })),
  template: 'chat',
  maxLength: 128,
  batchSize: 4,
  steps: 3,
  learningRate: 5e-3,
  weightDecay: 0.1,
  maxGradientNorm: 1,
  seedParts: [7, 0, 'clinic'],
};
const lora: LoraConfiguration = { rank: 4, alpha: 8, targets: 'all-linear' };

/** The adapter after a training that starts from `tensors`, or from a fresh one. */
async function trained(
  changes: Partial<TrainRequest>,
  configuration = lora,
  tensors: NamedTensors = initialAdapter(TINY_CONFIGURATION, configuration, 7),
): Promise<NamedTensors> {
  const trainer = await Trainer.open({ model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 });
  trainer.setAdapter({ configuration, tensors });
  await trainer.train({ ...request, ...changes });
  const after = new Map([...(trainer.adapter ?? [])].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }])); // prettier-ignore
  await trainer.close();
  return after;
}

/** How many of the tensors of each matrix are bit for bit as they were. */
function unchanged(after: NamedTensors, before: NamedTensors): { A: number; B: number } {
  const count = (matrix: 'A' | 'B') =>
    [...after].filter(([name, { data }]) => {
      const old = before.get(name)?.data ?? new Float32Array();
      return (
        isTrainable(name, matrix) && Buffer.from(data.slice().buffer).equals(Buffer.from(old.slice().buffer))
      );
    }).length;
  return { A: count('A'), B: count('B') };
}

describe('training one of the two matrices', () => {
  it('leaves the other as it is, also with weight decay, and both are there afterwards', async () => {
    const start = initialAdapter(TINY_CONFIGURATION, lora, 7);
    const ffa = await trained({ trainable: 'B' });
    expect([...ffa.keys()]).toEqual([...start.keys()]);
    expect(unchanged(ffa, start)).toEqual({ A: 14, B: 0 });
    const then = await trained({ trainable: 'A' }, lora, ffa);
    expect(unchanged(then, ffa)).toEqual({ A: 0, B: 14 });
  });

  it('takes the step for B that training both takes first, where nothing is clipped', async () => {
    const once = { steps: 1, maxGradientNorm: 1e9 };
    const [ffa, both] = [await trained({ ...once, trainable: 'B' }), await trained(once)];
    for (const [name, { data }] of ffa)
      if (isTrainable(name, 'B')) expect(data).toEqual(both.get(name)?.data);
  });
});

describe('dropout in training', () => {
  const dropping = { ...lora, dropout: 0.3 };

  it('repeats bit for bit under one seed, and differs from none', async () => {
    const [one, again, none] = [await trained({}, dropping), await trained({}, dropping), await trained({})];
    expect([...one]).toEqual([...again]);
    expect(unchanged(one, none).B).toBe(0);
  });

  it('is drawn for each part of a step, and does not depend on the steps before', async () => {
    const parts = await trained({ microBatchSize: 2 }, dropping);
    expect([...parts]).toEqual([...(await trained({ microBatchSize: 2 }, dropping))]);
    expect(unchanged(parts, await trained({}, dropping)).B).toBe(0);
  });

  it('is kept in the adapter folder, and does not act when the model is used', async () => {
    const folder = join(temporaryFolder(), 'adapter');
    const trainer = await Trainer.open({ model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 });
    trainer.startAdapter({ ...dropping, rankStabilized: true, layers: [1] }, 3);
    await trainer.train(request);
    expect(trainer.adapter?.size).toBe(14);
    const before = await trainer.evaluate({ ...request, ...conversations() });
    await trainer.saveAdapter(folder);
    trainer.setAdapter(null);
    trainer.loadAdapter(folder);
    const after = await trainer.evaluate({ ...request, ...conversations() });
    expect(after.loss).toBe(before.loss);
    const started = await trainer.train({ ...request, steps: 1 });
    expect(started.steps[0].loss).not.toBe(after.loss);
    await trainer.close();
  });
});

function conversations() {
  return { examples: request.examples.flatMap((one) => (one.kind === 'conversation' ? [one] : [])) };
}
