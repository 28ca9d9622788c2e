import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { initialAdapter } from '../../core/model/lora.ts';
import { TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { listCheckpoints } from '../../core/training/checkpoint-files.ts';
import type { CheckpointOptions } from '../../core/training/checkpoints.ts';
import type { Example } from '../../core/training/examples.ts';
import type { Notice } from '../../core/training/observer.ts';
import type { StepReport, TrainRequest } from '../../core/training/requests.ts';
import { Trainer } from '../../core/training/trainer.ts';

const lora = { rank: 2, alpha: 4, targets: ['q_proj', 'v_proj'] };
const examples: Example[] = Array.from({ length: 7 }, (_, index) => ({
  kind: 'conversation',
  messages: [
    { role: 'user', content: `Room ${index}?` },
    { role: 'assistant', content: index % 2 === 0 ? 'Warm.' : 'Cold there.' },
  ],
}));
const request = {
  examples,
  template: 'chat',
  maxLength: 96,
  batchSize: 2,
  steps: 6,
  learningRate: 5e-3,
  weightDecay: 0.01,
  maxGradientNorm: 1,
  seedParts: [7, 0, 'clinic'],
} satisfies TrainRequest;

const scratch: string[] = [];
afterEach(() => {
  for (const folder of scratch.splice(0)) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-checkpoints-'));
  scratch.push(folder);
  return folder;
}

const initial = initialAdapter(TINY_CONFIGURATION, lora, 7);

/** Trains in a fresh trainer, as a new process would, optionally finishing after a step. */
async function train(
  asked: TrainRequest,
  { finishAfter, configuration = lora }: { finishAfter?: number; configuration?: typeof lora } = {},
) {
  const trainer = await Trainer.open({ model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 });
  trainer.setAdapter({ configuration, tensors: initial });
  const finish = new AbortController();
  const notices: Notice[] = [];
  const reported: number[] = [];
  try {
    const trained = await trainer.train(asked, {
      finish: finish.signal,
      report: ({ step }) => {
        reported.push(step);
        if (step === finishAfter) finish.abort();
      },
      notice: (notice) => notices.push(notice),
    });
    const bytes = [...(trainer.adapter ?? [])].map(([, { data }]) => Buffer.from(data.slice().buffer));
    return { trained, bytes: Buffer.concat(bytes), notices, reported };
  } finally {
    await trainer.close();
  }
}

const numbers = (steps: readonly StepReport[]) =>
  steps.map(({ step, loss, gradientNorm, tokens }) => ({ step, loss, gradientNorm, tokens }));

/** A folder with checkpoints of steps 2 and 4. */
async function interrupted(extra: Partial<TrainRequest> = {}): Promise<string> {
  const folder = newFolder();
  const checkpoints: CheckpointOptions = { folder, everySteps: 2 };
  const stopped = train({ ...request, ...extra, checkpoints }, { finishAfter: 4 });
  await expect(stopped).rejects.toMatchObject({ code: 'training.stopped' });
  return folder;
}

const steps = async (folder: string) => (await listCheckpoints(folder)).map(({ step }) => step);

describe('a training with checkpoints', () => {
  const zeros = new Map(
    [...initial].map(([name, { shape, data }]) => [name, { shape, data: new Float32Array(data.length) }]),
  );
  const variates = { server: initial, client: zeros };
  it.each<[string, Partial<TrainRequest>]>([
    ['AdamW', {}],
    ['momentum', { optimizer: { name: 'sgd', momentum: 0.9 }, learningRate: 0.1 }],
    ['gradient descent', { optimizer: { name: 'sgd' }, learningRate: 0.1 }],
    ['parts of a step', { microBatchSize: 1 }],
    ['what strategies add', { proximal: { mu: 1 }, controlVariates: variates, learningRate: 1e-3 }],
  ])('goes on bit by bit as if nothing had happened, with %s', async (_, extra) => {
    const whole = await train({ ...request, ...extra });
    const folder = newFolder();
    const stopped = train(
      { ...request, ...extra, checkpoints: { folder, everySteps: 2 } },
      { finishAfter: 3 },
    );
    await expect(stopped).rejects.toMatchObject({
      code: 'training.stopped',
      message: `The training was stopped after step 3 of 6; its checkpoint is ${join(folder, 'step-00000003')}.`,
      hint: 'Repeat the command with --resume to go on from there.',
    });
    expect(await steps(folder)).toEqual([3, 2]);
    const rest = await train({
      ...request,
      ...extra,
      checkpoints: { folder, everySteps: 2, start: 'resume' },
    });
    expect(rest.reported).toEqual([4, 5, 6]);
    expect(rest.bytes.equals(whole.bytes)).toBe(true);
    expect(numbers(rest.trained.steps)).toEqual(numbers(whole.trained.steps));
    expect(rest.trained.loss).toBe(whole.trained.loss);
    expect(rest.trained.controlVariates).toEqual(whole.trained.controlVariates);
    expect(rest.notices.map(({ event, step }) => [event, step])).toEqual([
      ['resumed', 3],
      ['checkpoint', 5],
    ]);
    expect(await steps(folder)).toEqual([5, 3]);
  });

  it('makes them by time too, and keeps as many as are asked for', async () => {
    const folder = newFolder();
    const { notices } = await train({ ...request, checkpoints: { folder, everySeconds: 1e-9, keep: 3 } });
    expect(notices.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await steps(folder)).toEqual([6, 5, 4]);
    const never = newFolder();
    await train({ ...request, checkpoints: { folder: never, everySeconds: 1e9 } });
    expect(readdirSync(never)).toEqual([]);
  });

  it('stops without one before the first step, and without checkpoints anywhere', async () => {
    const folder = newFolder();
    const trainer = await Trainer.open({ model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 });
    trainer.setAdapter({ configuration: lora, tensors: initial });
    const finish = AbortSignal.abort();
    await expect(
      trainer.train({ ...request, checkpoints: { folder, everySteps: 1 } }, { finish }),
    ).rejects.toMatchObject({ message: 'The training was stopped after step 0 of 6.' });
    expect(readdirSync(folder)).toEqual([]);
    await trainer.close();
    await expect(train(request, { finishAfter: 2 })).rejects.toMatchObject({
      message: 'The training was stopped after step 2 of 6.',
    });
  });

  it('gives back what was trained when all steps were taken already', async () => {
    const folder = newFolder();
    const whole = await train({ ...request, checkpoints: { folder, everySteps: 3 } });
    const again = await train({ ...request, checkpoints: { folder, everySteps: 3, start: 'resume' } });
    expect(again.reported).toEqual([]);
    expect(again.bytes.equals(whole.bytes)).toBe(true);
    expect(numbers(again.trained.steps)).toEqual(numbers(whole.trained.steps));
  });
});

describe('a checkpoint is refused', () => {
  const others: [string, Partial<TrainRequest>][] = [
    ['learningRate was 0.005 and is 0.001', { learningRate: 1e-3 }],
    ['steps was 6 and is 7', { steps: 7 }],
    ['batchSize was 2 and is 3', { batchSize: 3 }],
    ['microBatchSize was not set and is 1', { microBatchSize: 1 }],
    ['maxLength was 96 and is 95', { maxLength: 95 }],
    ['weightDecay was 0.01 and is 0', { weightDecay: 0 }],
    ['maxGradientNorm was 1 and is 2', { maxGradientNorm: 2 }],
    ['seedParts was [7,0,"clinic"] and is [8,0,"clinic"]', { seedParts: [8, 0, 'clinic'] }],
    ['optimizer was not set and is {"name":"sgd"}', { optimizer: { name: 'sgd' } }],
    ['proximal was not set and is {"mu":1}', { proximal: { mu: 1 } }],
    ['the controlVariates was another', { controlVariates: { server: initial, client: initial } }],
    ['the data was another', { examples: examples.slice(1) }],
    ['the data was another', { examples: examples.toReversed() }],
  ];
  it.each(others)('where %s', async (difference, extra) => {
    const folder = await interrupted();
    const resumed = train({ ...request, ...extra, checkpoints: { folder, start: 'resume' } });
    await expect(resumed).rejects.toMatchObject({
      code: 'checkpoint.other-training',
      message: `The checkpoint ${join(folder, 'step-00000004')} belongs to another training: ${difference}.`,
    });
    expect(await steps(folder)).toEqual([4, 2]);
  });

  it('where the adapter acts otherwise, or started elsewhere', async () => {
    const folder = await interrupted();
    const checkpoints = { folder, start: 'resume' as const };
    const other = train({ ...request, checkpoints }, { configuration: { ...lora, alpha: 5 } });
    await expect(other).rejects.toThrow('adapter was {"rank":2,"alpha":4');
    const trainer = await Trainer.open({ model: 'tiny', precision: 'f32', device: 'cpu', threads: 1 });
    trainer.startAdapter(lora, 8);
    await expect(trainer.train({ ...request, checkpoints })).rejects.toThrow(
      'the start of what is trained was another',
    );
    await trainer.close();
  });

  it('where there is none, and a folder in use is refused to a new training', async () => {
    const folder = newFolder();
    await expect(train({ ...request, checkpoints: { folder, start: 'resume' } })).rejects.toMatchObject({
      code: 'checkpoint.none',
      message: `There is no checkpoint in ${folder}.`,
    });
    const used = await interrupted();
    await expect(train({ ...request, checkpoints: { folder: used } })).rejects.toMatchObject({
      code: 'checkpoint.folder-used',
      message: `${used} holds a checkpoint of step 4 already.`,
    });
  });
});

describe('a damaged checkpoint', () => {
  const files = [
    'adapter_config.json',
    'adapter_model.safetensors',
    'checkpoint.json',
    'moments.safetensors',
  ];
  const damages: [string, (path: string) => void][] = [
    ['cut short', (path) => truncateSync(path, readFileSync(path).length - 3)],
    ['emptied', (path) => truncateSync(path)],
    ['deleted', (path) => rmSync(path)],
    [
      'changed by one bit',
      (path) => {
        const bytes = readFileSync(path);
        bytes[bytes.length >> 1] ^= 1;
        writeFileSync(path, bytes);
      },
    ],
  ];
  const cases = files.flatMap((file) => damages.map(([how, damage]) => ({ file, how, damage })));

  it.each(cases)('($file $how) is left for the one before it, with a sentence', async ({ file, damage }) => {
    const folder = await interrupted();
    const whole = await train(request);
    damage(join(folder, 'step-00000004', file));
    const checkpoints = { folder, everySteps: 2, start: 'resume' as const };
    const rest = await train({ ...request, checkpoints });
    expect(rest.reported).toEqual([3, 4, 5, 6]);
    expect(rest.bytes.equals(whole.bytes)).toBe(true);
    const [damaged] = rest.notices;
    expect(damaged.event).toBe('checkpoint-damaged');
    expect(damaged.message).toContain(`The checkpoint ${join(folder, 'step-00000004')} is damaged: `);
    expect(damaged.message).toContain(file);
    expect(damaged.message).toMatch(/\. The one of step 2 is used\.$/);
    expect(await steps(folder)).toEqual([6, 4]);
  });

  it('is refused by its name where there is no other', async () => {
    const folder = await interrupted();
    for (const step of ['step-00000002', 'step-00000004'])
      truncateSync(join(folder, step, 'checkpoint.json'));
    const refused = train({ ...request, checkpoints: { folder, start: 'resume' } });
    await expect(refused).rejects.toMatchObject({
      code: 'checkpoint.damaged',
      message: `No checkpoint of ${folder} is whole. The checkpoint ${join(folder, 'step-00000004')} is damaged: checkpoint.json is not JSON.`,
    });
  });
});

describe('a training that continues where it can', () => {
  const checkpoints = (folder: string) => ({ folder, everySteps: 2, start: 'continue' as const });

  it('begins anew in an empty folder, and beside checkpoints of another training, which it removes', async () => {
    const whole = await train(request);
    const folder = await interrupted({ learningRate: 1e-3 });
    for (const place of [newFolder(), folder]) {
      const { bytes, reported } = await train({ ...request, checkpoints: checkpoints(place) });
      expect(reported[0]).toBe(1);
      expect(bytes.equals(whole.bytes)).toBe(true);
      expect(await steps(place)).toEqual([6, 4]);
    }
  });

  it('goes on from its own', async () => {
    const folder = await interrupted();
    expect((await train({ ...request, checkpoints: checkpoints(folder) })).reported).toEqual([5, 6]);
  });
});
