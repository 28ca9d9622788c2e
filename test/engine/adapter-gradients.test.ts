import { afterAll, describe, expect, it } from 'vitest';
import { paddedBatch } from '../../core/engine/batch.ts';
import { Engine } from '../../core/engine/engine.ts';
import { lossGraph } from '../../core/engine/graphs/loss.ts';
import { emptyParameters, packParameters, type Parameters } from '../../core/engine/parameters.ts';
import { initialAdapter, loraShapes, type LoraConfiguration } from '../../core/model/lora.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { Random } from '../../core/random.ts';
import { temporaryFolder } from '../model/fixtures.ts';

const lora: LoraConfiguration = { rank: 4, alpha: 8, targets: 'all-linear' };
const dropping = { ...lora, dropout: 0.25 };
const draw = { seed: ['run', 3], step: [5, 0] };

/** An adapter that has been trained a little: neither matrix is zero. */
function trainedAdapter(configuration: LoraConfiguration): Parameters {
  const parameters = packParameters(initialAdapter(TINY_CONFIGURATION, configuration, 1));
  const random = new Random('trained');
  for (let index = 0; index < parameters.flat.length; index++) {
    parameters.flat[index] += 0.05 * random.normal();
  }
  return parameters;
}
const parameters = trainedAdapter(lora);
const plain = { configuration: lora, parameters: parameters.tensors };

const engine = new Engine(openTiny().weights, {
  precision: 'f32',
  device: 'cpu',
  threads: 1,
  cache: temporaryFolder(),
});
afterAll(() => engine.release());

const texts = ['Hello', 'The river', 'flows', 'to the sea, slowly.'].map((text) => {
  const ids = [...Buffer.from(text)];
  return { ids, labels: ids.map((id, index) => (index < 2 ? -100 : id)) };
});
const batch = paddedBatch(texts, 0);

const room = (configuration: LoraConfiguration, wanted = (_: string) => true) =>
  emptyParameters(loraShapes(TINY_CONFIGURATION, configuration).filter(({ name }) => wanted(name)));

/** ‖a − b‖ / ‖b‖ */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let index = 0; index < b.length; index++) {
    difference += (a[index] - b[index]) ** 2;
    size += b[index] ** 2;
  }
  expect(a.length).toBe(b.length);
  return Math.sqrt(difference / size);
}

describe('gradients of A or B alone', () => {
  it.each(['A', 'B'])('are those of %s in the gradients of both', async (matrix) => {
    const both = room(lora);
    const one = room(lora, (name) => name.includes(`lora_${matrix}`));
    const loss = await engine.lossAndGradients(batch, { ...plain, gradients: both });
    expect(await engine.lossAndGradients(batch, { ...plain, gradients: one })).toBe(loss);
    expect(one.tensors.size).toBe(both.tensors.size / 2);
    for (const [name, { data }] of one.tensors) expect(data).toEqual(both.tensors.get(name)?.data);
  });

  it('are computed by a smaller graph', () => {
    const plan = { configuration: TINY_CONFIGURATION, packing: () => 'float32' as const, adapter: lora };
    const names = [...parameters.tensors.keys()];
    const nodes = (wanted: string[]) => lossGraph(plan, wanted).graph.nodes.length;
    const all = nodes(names);
    const modules = names.length / 2;
    // A product a module, and for A the way through the product with B.
    expect(nodes(names.filter((name) => name.includes('lora_A')))).toBeLessThanOrEqual(all - modules);
    expect(nodes(names.filter((name) => name.includes('lora_B')))).toBeLessThanOrEqual(all - modules);
  });

  it('of something that is no tensor of the graph are refused', () => {
    const plan = { configuration: TINY_CONFIGURATION, packing: () => 'float32' as const, adapter: null };
    expect(() => lossGraph(plan, ['lm_head.bias'])).toThrow(/no float32 inputs/);
  });
});

describe('dropout', () => {
  const withDropout = { configuration: dropping, parameters: parameters.tensors };
  async function gradientsAt(step: number[], seed: (string | number)[] = draw.seed) {
    const gradients = room(dropping);
    const loss = await engine.lossAndGradients(batch, { ...withDropout, gradients, dropout: { seed, step } });
    return { loss, flat: gradients.flat };
  }

  it('of one seed and step repeats bit for bit, on another engine too, and others drop otherwise', async () => {
    const first = await gradientsAt([5, 0]);
    const others = [
      await gradientsAt([6, 0]),
      await gradientsAt([5, 1]),
      await gradientsAt([5, 0], ['run', 4]),
    ];
    for (const other of others) expect(distance(other.flat, first.flat)).toBeGreaterThan(0.05);
    const again = new Engine(openTiny().weights, {
      precision: 'f32',
      device: 'cpu',
      threads: 1,
      cache: temporaryFolder(),
    });
    const gradients = room(dropping);
    const loss = await again.lossAndGradients(batch, { ...withDropout, gradients, dropout: draw });
    await again.release();
    expect(loss).toBe(first.loss);
    expect(gradients.flat).toEqual(first.flat);
  });

  it.each(['light', 'layers'] as const)(
    'is the same where results are computed again: %s',
    async (recompute) => {
      const again = new Engine(openTiny().weights, {
        precision: 'f32',
        device: 'cpu',
        threads: 1,
        recompute,
        cache: temporaryFolder(),
      });
      const gradients = room(dropping);
      await again.lossAndGradients(batch, { ...withDropout, gradients, dropout: draw });
      await again.release();
      expect(distance(gradients.flat, (await gradientsAt([5, 0])).flat)).toBeLessThan(1e-5);
    },
  );

  it('acts in training alone, and a rate of zero adds nothing', async () => {
    const gradients = room(lora);
    const loss = await engine.lossAndGradients(batch, { ...plain, gradients });
    expect((await engine.loss(batch, withDropout)).loss).toBeCloseTo(loss, 6);
    expect(await engine.lossAndGradients(batch, { ...plain, gradients, dropout: draw })).toBe(loss);
    const nodes = (dropout: number) =>
      lossGraph({
        configuration: TINY_CONFIGURATION,
        packing: () => 'float32',
        adapter: { ...lora, dropout },
        dropping: true,
      }).graph;
    expect(nodes(0).inputs.some(({ name }) => name.startsWith('dropout'))).toBe(false);
    expect(nodes(0).nodes.some(({ operator }) => operator === 'Floor')).toBe(false);
    expect(nodes(0.1).nodes.filter(({ operator }) => operator === 'Floor')).toHaveLength(14);
  });

  it('has the gradients of what was dropped: central differences under one draw', async () => {
    const { flat } = await gradientsAt([5, 0]);
    const random = new Random('directions');
    for (let trial = 0; trial < 4; trial++) {
      const direction = Float32Array.from(parameters.flat, () => random.normal());
      const lossAt = async (by: number) => {
        const moved = packParameters(parameters.tensors);
        for (let index = 0; index < moved.flat.length; index++) moved.flat[index] += by * direction[index];
        return engine.lossAndGradients(batch, {
          configuration: dropping,
          parameters: moved.tensors,
          gradients: room(dropping),
          dropout: draw,
        });
      };
      const numeric = ((await lossAt(2e-3)) - (await lossAt(-2e-3))) / 4e-3;
      const exact = flat.reduce((sum, value, index) => sum + value * direction[index], 0);
      const size = Math.hypot(...flat);
      expect(Math.abs(numeric - exact) / size).toBeLessThan(2e-2);
    }
  });

  it('leaves the expected gradient of B as it is, to first order', async () => {
    // With B zero the loss does not depend on what is dropped, so that dB is linear in the kept inputs.
    const start = { configuration: dropping, parameters: initialAdapter(TINY_CONFIGURATION, dropping, 1) };
    const isB = (name: string) => name.includes('lora_B');
    const whole = room(lora, isB);
    await engine.lossAndGradients(batch, { ...start, configuration: lora, gradients: whole });
    const mean = new Float64Array(whole.flat.length);
    const draws = 400;
    for (let step = 0; step < draws; step++) {
      const gradients = room(dropping, isB);
      await engine.lossAndGradients(batch, {
        ...start,
        gradients,
        dropout: { seed: ['mean'], step: [step] },
      });
      gradients.flat.forEach((value, index) => (mean[index] += value / draws));
    }
    // A single draw lies √(p / (1 − p)) = 0.58 away, the mean of independent ones 0.58 / √400.
    expect(distance(mean, whole.flat)).toBeLessThan(0.05);
  });
});

describe('gradients of each example', () => {
  const alone = async (index: number, configuration = lora) => {
    const gradients = room(configuration);
    const loss = await engine.lossAndGradients(paddedBatch([texts[index]], 0), {
      configuration,
      parameters: parameters.tensors,
      gradients,
    });
    return { loss, flat: gradients.flat };
  };

  it('are those of the example alone', async () => {
    const { loss, norms, gradients } = await engine.perExampleGradients(batch, plain);
    let sum = 0;
    for (const index of texts.keys()) {
      const own = await alone(index);
      sum += own.loss;
      const rows = [...gradients.values()].flatMap(({ data }) => {
        const size = data.length / texts.length;
        return [...data.subarray(index * size, (index + 1) * size)];
      });
      expect(distance(rows, own.flat)).toBeLessThan(1e-5);
      expect(norms[index] / Math.hypot(...own.flat)).toBeCloseTo(1, 5);
    }
    expect(loss).toBeCloseTo(sum, 4);
    for (const [name, { shape }] of gradients) {
      expect(shape).toEqual([4, ...(parameters.tensors.get(name)?.shape ?? [])]);
    }
  });

  it('add up to the gradient of the batch, with and without dropout', async () => {
    const whole = room(dropping);
    for (const dropout of [undefined, draw]) {
      const adapter = { ...plain, configuration: dropping };
      await engine.lossAndGradients(batch, { ...adapter, gradients: whole, dropout }, 1);
      const { gradients } = await engine.perExampleGradients(batch, adapter, { loss: 'sum', dropout });
      const sums = [...gradients.values()].flatMap(({ data }) => {
        const size = data.length / 4;
        return Array.from({ length: size }, (_, at) => [0, 1, 2, 3].reduce((sum, row) => sum + data[row * size + at], 0)); // prettier-ignore
      });
      expect(distance(sums, whole.flat)).toBeLessThan(1e-5);
    }
  });

  it('are clipped one by one and summed', async () => {
    const { norms, gradients } = await engine.perExampleGradients(batch, plain);
    const bound = (Math.min(...norms) + Math.max(...norms)) / 2;
    const clipped = room(lora);
    const found = await engine.clippedGradients(batch, { ...plain, gradients: clipped, bound });
    expect(found.norms).toEqual(norms);
    const expected = [...gradients.values()].flatMap(({ data }) => {
      const size = data.length / 4;
      return Array.from({ length: size }, (_, at) =>
        norms.reduce((sum, norm, row) => sum + data[row * size + at] * Math.min(1, bound / norm), 0),
      );
    });
    expect(distance(clipped.flat, expected)).toBeLessThan(1e-6);
  });

  it('of B alone are measured alone', async () => {
    const isB = (name: string) => name.includes('lora_B');
    const { gradients, norms } = await engine.perExampleGradients(batch, plain);
    const clipped = room(lora, isB);
    const found = await engine.clippedGradients(batch, { ...plain, gradients: clipped, bound: 1e9 });
    const rows = [...gradients].filter(([name]) => isB(name));
    for (const index of texts.keys()) {
      const own = rows.flatMap(([, { data }]) => [...data.subarray((index * data.length) / 4, ((index + 1) * data.length) / 4)]); // prettier-ignore
      expect(found.norms[index] / Math.hypot(...own)).toBeCloseTo(1, 5);
      expect(found.norms[index]).toBeLessThan(norms[index]);
    }
  });

  it('need one example a row, with something supervised', async () => {
    await expect(engine.perExampleGradients({ ...batch, examples: 5 }, plain)).rejects.toThrow(/one a row/);
    const silent = paddedBatch([texts[0], { ids: [72, 101] }], 0);
    await expect(engine.perExampleGradients(silent, plain)).rejects.toThrow(/no supervised token/);
  });
});
