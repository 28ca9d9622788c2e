import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluatePreferenceFile, holdsPreferences } from '../../core/evaluation/preference-file.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import type { PreferenceExample } from '../../core/training/examples.ts';
import { pairLoss } from '../../core/training/preference.ts';
import type { TrainRequest } from '../../core/training/requests.ts';
import { Trainer } from '../../core/training/trainer.ts';
import { temporaryFolder } from '../model/fixtures.ts';

const before = process.env['TRIBUTARY_HOME'];
const home = temporaryFolder();
beforeAll(() => (process.env['TRIBUTARY_HOME'] = home));
afterAll(() => {
  if (before === undefined) delete process.env['TRIBUTARY_HOME'];
  else process.env['TRIBUTARY_HOME'] = before;
});

const lora = { rank: 4, alpha: 8, targets: 'all-linear' as const };
const pairs: PreferenceExample[] = Array.from({ length: 8 }, (_, index) => ({
  kind: 'preference',
  prompt: [{ role: 'user', content: `How warm is room ${index}?` }],
  chosen: index % 2 === 0 ? 'It is warm.' : 'Pleasantly cool.',
  rejected: index % 3 === 0 ? 'Who cares?' : 'Find out by yourself.',
}));
const request = {
  objective: 'dpo',
  examples: pairs,
  template: 'chat',
  maxLength: 128,
  batchSize: 4,
  steps: 4,
  learningRate: 5e-3,
  weightDecay: 0,
  maxGradientNorm: 1,
  seedParts: [7, 0, 'clinic'],
} satisfies TrainRequest;

async function openTrainer() {
  const trainer = await Trainer.open({ model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 });
  trainer.setAdapter({ configuration: lora, tensors: initialAdapter(TINY_CONFIGURATION, lora, 7) });
  return trainer;
}

function bytesOf({ adapter }: Trainer): Buffer {
  return Buffer.concat([...(adapter ?? [])].map(([, { data }]) => Buffer.from(data.slice().buffer)));
}

describe('training on pairs', () => {
  it.each(['sigmoid', 'ipo'] as const)('sets the preferred answers apart (%s)', async (loss) => {
    const trainer = await openTrainer();
    const dpo = { beta: 0.1, labelSmoothing: 0, loss };
    const untrained = await trainer.evaluatePreferences({ ...request, dpo });
    expect(Math.abs(untrained.margin)).toBeLessThan(1e-4);
    expect(untrained.loss).toBeCloseTo(loss === 'ipo' ? 25 : Math.log(2), 2);
    const { steps } = await trainer.train({ ...request, dpo, steps: 12 });
    const [first, last] = [steps[0].preference, steps.at(-1)?.preference];
    expect(Math.abs(first?.margin ?? 1)).toBeLessThan(1e-4);
    expect(last?.accuracy).toBe(1);
    expect(last?.margin).toBeCloseTo((last?.chosenReward ?? 0) - (last?.rejectedReward ?? 0), 10);
    const trained = await trainer.evaluatePreferences({ ...request, dpo });
    expect(trained.accuracy).toBe(1);
    expect(trained.margin).toBeGreaterThan(0.3);
    expect(trained.loss).toBeLessThan(untrained.loss);
    expect(trained.examples.map(({ index }) => index)).toEqual(pairs.map((_, index) => index));
    await trainer.close();
  });

  it('computes a step in parts to the same gradients and metrics', async () => {
    const found: number[][] = [];
    for (const microBatchSize of [4, 1]) {
      const trainer = await openTrainer();
      const { steps } = await trainer.train({ ...request, microBatchSize });
      // The first step's margin is rounding alone, and with it its accuracy.
      found.push(
        steps.slice(1).flatMap(({ loss, gradientNorm, preference }) => {
          const { accuracy = NaN, margin = NaN } = preference ?? {};
          return [loss, gradientNorm, accuracy, margin];
        }),
      );
      await trainer.close();
    }
    found[0].forEach((value, index) => expect(found[1][index]).toBeCloseTo(value, 3));
  });

  it('repeats bit for bit, whether or not the scores of the reference are known already', async () => {
    const trained: Buffer[] = [];
    for (const known of [[], pairs.slice(2, 5), pairs]) {
      process.env['TRIBUTARY_HOME'] = temporaryFolder();
      const trainer = await openTrainer();
      if (known.length > 0) await trainer.evaluatePreferences({ ...request, examples: known });
      await trainer.train(request);
      trained.push(bytesOf(trainer));
      await trainer.close();
    }
    process.env['TRIBUTARY_HOME'] = home;
    expect(trained[1].equals(trained[0])).toBe(true);
    expect(trained[2].equals(trained[0])).toBe(true);
  });

  it('leaves pairs without a difference out and counts them', async () => {
    const trainer = await openTrainer();
    const same = { ...pairs[0], rejected: pairs[0].chosen };
    expect((await trainer.train({ ...request, examples: [...pairs, same] })).skipped).toBe(1);
    await expect(trainer.train({ ...request, examples: [same] })).rejects.toMatchObject({
      code: 'data.all-truncated',
    });
    expect((await trainer.evaluatePreferences({ ...request, examples: [...pairs, same] })).skipped).toBe(1);
    await trainer.close();
  });

  it('compares with an adapter that stays as it was, when told so', async () => {
    const trainer = await openTrainer();
    await trainer.train(request);
    const tensors = trainer.adapter;
    if (!tensors) throw new Error('no adapter');
    trainer.setReference({ configuration: lora, tensors });
    const first = (await trainer.train(request)).steps[0];
    expect(Math.abs(first.preference?.margin ?? 1)).toBeLessThan(1e-4);
    const against = await trainer.evaluatePreferences(request);
    trainer.setReference(null);
    const base = await trainer.evaluatePreferences(request);
    expect(base.margin).toBeGreaterThan(against.margin + 0.05);
    await trainer.close();
  });

  it('finds every pair a tie where there is no adapter at all', async () => {
    const trainer = await openTrainer();
    trainer.setAdapter(null);
    expect(await trainer.evaluatePreferences(request)).toMatchObject({ accuracy: 0.5, margin: 0 });
    await trainer.close();
  });

  it('refuses conversations', async () => {
    const trainer = await openTrainer();
    const conversation = { kind: 'conversation', messages: [] } as const;
    await expect(trainer.train({ ...request, examples: [conversation] })).rejects.toThrow('another kind');
    await trainer.close();
  });
});

describe('a file of pairs', () => {
  it('is told by its first row, and measured with intervals', async () => {
    const path = join(temporaryFolder(), 'pairs.jsonl');
    const rows = pairs.map(({ prompt, chosen, rejected }) => ({ prompt, chosen, rejected }));
    writeFileSync(path, ['', ...rows.map((row) => JSON.stringify(row)), '{"chosen":""}'].join('\n'));
    expect(await holdsPreferences(path)).toBe(true);
    const other = join(temporaryFolder(), 'questions.jsonl');
    writeFileSync(other, '{"question":"a","answer":"b"}\n');
    expect(await holdsPreferences(other)).toBe(false);
    const trainer = await openTrainer();
    const evaluation = { file: path, skipBad: true, template: 'chat', maxLength: 128, batchSize: 4 } as const;
    const evaluate = () => evaluatePreferenceFile(evaluation, (asked) => trainer.evaluatePreferences(asked));
    await trainer.train({ ...request, steps: 12 });
    const { n, skipped, metrics } = await evaluate();
    expect([n, skipped]).toEqual([8, 1]);
    // Wilson's interval of 8 among 8: n / (n + z²).
    expect(metrics.accuracy).toEqual({
      value: 1,
      low: expect.closeTo(8 / (8 + 1.96 ** 2), 4) as number,
      high: 1,
    });
    expect(metrics.margin.low).toBeGreaterThan(0);
    expect(metrics.loss.high).toBeLessThan(Math.log(2));
    expect(metrics.likelihoodAccuracy.value).toBeGreaterThan(0.5);
    await trainer.close();
  });
});

describe('the loss of a pair', () => {
  it('is log 2 at no margin, and linear far out', () => {
    const plain = { beta: 0.1, labelSmoothing: 0, loss: 'sigmoid' } as const;
    expect(pairLoss(0, plain)).toBeCloseTo(Math.log(2), 12);
    expect(pairLoss(-1000, plain)).toBe(1000);
    expect(pairLoss(1000, plain)).toBe(0);
    expect(pairLoss(1000, { ...plain, labelSmoothing: 0.1 })).toBeCloseTo(100, 12);
    expect(pairLoss(0.5, { ...plain, loss: 'ipo' })).toBe(0);
  });
});
