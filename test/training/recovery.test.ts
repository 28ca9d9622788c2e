import { describe, expect, it } from 'vitest';
import type { Device } from '../../core/engine/devices.ts';
import { packParameters, type Parameters } from '../../core/engine/parameters.ts';
import { troubleOf } from '../../core/engine/trouble.ts';
import type { BatchCounts, Objective } from '../../core/training/objectives/objective.ts';
import { gradientsOf, trainSteps } from '../../core/training/training-loop.ts';

interface Numbers extends BatchCounts {
  readonly numbers: readonly number[];
}

const batchOf = (numbers: readonly number[]): Numbers => ({
  numbers,
  tokens: numbers.length,
  supervisedTokens: numbers.length,
  places: numbers.length,
  padding: 0,
});

/** Fits a scalar to numbers: loss Σ share · (p − x)² / 2. `fails` throws where a real engine would. */
function fitting(parameters: Parameters, fails: (batch: Numbers) => void): Objective<Numbers> {
  return {
    steps: 2,
    skipped: 0,
    batches: (step) => [batchOf([1, 2, 3, 4, 5].map((number) => number + step))],
    size: ({ numbers }) => numbers.length,
    halve({ numbers }) {
      const middle = Math.ceil(numbers.length / 2);
      return [batchOf(numbers.slice(0, middle)), batchOf(numbers.slice(middle))];
    },
    weight: ({ numbers }) => numbers.length,
    compute(batch, gradients, share) {
      fails(batch);
      const [p] = parameters.flat;
      gradients.flat[0] = batch.numbers.reduce((sum, x) => sum + share * (p - x), 0);
      return Promise.resolve({ loss: batch.numbers.reduce((sum, x) => sum + (share * (p - x) ** 2) / 2, 0) });
    },
  };
}

async function train(fails: (batch: Numbers) => void, start: Device = 'webgpu') {
  const parameters = packParameters(new Map([['p', { shape: [1], data: Float32Array.of(0.5) }]]));
  const opened: Device[] = [];
  const engine = {
    device: start,
    reopen: (device: Device) => {
      opened.push((engine.device = device));
      return Promise.resolve();
    },
  };
  const options = { learningRate: 0.1, weightDecay: 0, maxGradientNorm: 100 };
  const work = { options, parameters, gradients: gradientsOf(parameters), engine };
  const { steps } = await trainSteps(fitting(parameters, fails), work, {});
  return { p: parameters.flat[0], steps, opened, notes: steps.map(({ notes = [] }) => notes) };
}

const untroubled = () => undefined;

describe('a step for which memory runs out', () => {
  it('is computed in halves, gives the same result, and later steps begin with them', async () => {
    const sizes: number[] = [];
    const troubled = await train(({ numbers }) => {
      sizes.push(numbers.length);
      if (numbers.length > 3) throw new Error('Failed to allocate memory for requested buffer of size 123');
    });
    const plain = await train(untroubled);
    expect(troubled.p).toBeCloseTo(plain.p, 6);
    expect(troubled.steps.map(({ loss }) => loss)).toEqual(
      plain.steps.map(({ loss }) => expect.closeTo(loss, 6) as number),
    );
    expect(sizes).toEqual([5, 3, 2, 3, 2]);
    expect(troubled.notes).toEqual([
      ['5 examples at once do not fit into memory. From here on at most 3 are computed at once.'],
      [],
    ]);
  });

  it('is halved again where the half does not fit', async () => {
    const troubled = await train(({ numbers }) => {
      if (numbers.length > 1) throw new RangeError('Array buffer allocation failed');
    });
    expect(troubled.p).toBeCloseTo((await train(untroubled)).p, 6);
    expect(troubled.notes[0]).toHaveLength(3);
  });

  it('ends with what to do where one example alone does not fit', async () => {
    const training = train(() => {
      throw new Error('std::bad_alloc');
    });
    await expect(training).rejects.toMatchObject({
      code: 'engine.out-of-memory',
      message: 'A single example, of 1 tokens, does not fit into memory.',
    });
  });
});

describe('a device that is lost', () => {
  const losing = (times: number) => {
    let left = times;
    return () => {
      if (left-- > 0) throw new Error('WebGPU device lost (unknown): the driver was reset');
    };
  };

  it('is opened again, and the step repeated', async () => {
    const { p, opened, notes } = await train(losing(1));
    expect(opened).toEqual(['webgpu']);
    expect(notes[0]).toEqual([
      'webgpu was lost in the middle of a step. It is opened again and the step is repeated.',
    ]);
    expect(p).toBe((await train(untroubled)).p);
  });

  it('is given up for the CPU when it happens again and again', async () => {
    const { opened, notes } = await train(losing(3));
    expect(opened).toEqual(['webgpu', 'webgpu', 'cpu']);
    expect(notes[0].at(-1)).toBe('webgpu was lost 3 times. The CPU goes on with the training.');
  });
});

describe('other errors', () => {
  it('are left as they are', async () => {
    const broken = new Error('Invalid rank for input: ids');
    await expect(
      train(() => {
        throw broken;
      }),
    ).rejects.toBe(broken);
  });

  it.each([
    ['BFC Arena ran out of memory trying to allocate 12 bytes', 'out-of-memory'],
    ['CUDA failure 2: out of memory', 'out-of-memory'],
    ['Failed to allocate memory for requested buffer of size 99', 'out-of-memory'],
    ['std::bad_alloc', 'out-of-memory'],
    ['887A0005 The GPU device instance has been suspended', 'device-lost'],
    ['CUDA failure 999: unknown error', 'device-lost'],
    ['Non-zero status code returned while running Gemm node', null],
  ])('mean what they mean: %s', (message, meaning) => {
    expect(troubleOf(new Error(message))).toBe(meaning);
  });
});
