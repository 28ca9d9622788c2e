import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { paddedBatch } from '../../core/engine/batch.ts';
import { Engine } from '../../core/engine/engine.ts';
import { lossGraph } from '../../core/engine/graphs/loss.ts';
import { RECOMPUTES, type Recompute } from '../../core/engine/graphs/recompute.ts';
import { elementsOf, peakBytes, sizesOf, stepBytes } from '../../core/engine/memory.ts';
import { emptyParameters } from '../../core/engine/parameters.ts';
import { ATTENTION_ROWS, scoreRows, type EngineOptions } from '../../core/engine/sessions.ts';
import * as b from '../../core/graph/build.ts';
import { Graph } from '../../core/graph/graph.ts';
import { initialAdapter, loraShapes } from '../../core/model/lora.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { temporaryFolder } from '../model/fixtures.ts';

const lora = { rank: 4, alpha: 8, targets: 'all-linear' as const };
const shapes = loraShapes(TINY_CONFIGURATION, lora);
const ids = Int32Array.from({ length: 96 }, (_, at) => 40 + ((7 * at) % 80));
const batch = paddedBatch(
  [
    { ids, labels: ids },
    { ids, labels: ids },
  ],
  0,
);

function graphOf(recompute: Recompute, { rows = scoreRows(TINY_CONFIGURATION), halved = false } = {}): Graph {
  const plan = { configuration: TINY_CONFIGURATION, packing: () => 'float32' as const, adapter: lora };
  const names = shapes.map(({ name }) => name);
  const parts = { scoreRows: rows, attentionRows: ATTENTION_ROWS };
  return lossGraph({ ...plan, recompute, halved, ...parts }, names).graph;
}
const trained = shapes.reduce((sum, { shape }) => sum + shape[0] * shape[1], 0);
const estimate = (recompute: Recompute) => stepBytes({ graph: graphOf(recompute) }, sizesOf(batch), trained);

async function gradientsWithin(options: Partial<EngineOptions>) {
  const engine = new Engine(openTiny().weights, {
    precision: 'f32',
    device: 'cpu',
    threads: 1,
    cache: temporaryFolder(),
    ...options,
  });
  const gradients = emptyParameters(shapes);
  const parameters = initialAdapter(TINY_CONFIGURATION, lora, 1);
  try {
    await engine.lossAndGradients(batch, { configuration: lora, parameters, gradients });
  } finally {
    await engine.release();
  }
  return gradients.flat;
}

describe('the most that intermediate results take', () => {
  it('counts each from its maker to its last reader, and views and results in place not at all', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['rows', 10]);
    const first = b.gemm(x, graph.input('w', 'float32', [10, 20]));
    const second = b.reshape(b.exp(first), ['rows', 4, 5]);
    const third = b.reduceSum(second, [2]);
    graph.output('y', b.exp(third));
    // 20 numbers a row, exp in place, then 4 beside them.
    expect(peakBytes(graph, { rows: 7 })).toBe(4 * 7 * 24);
  });

  it('counts the scores, probabilities and codes of one part of a vocabulary’s loss, and not its float32 rows', () => {
    const graph = new Graph();
    const [size, classes] = [8, 1000];
    const input = (name: string, type: 'float32' | 'uint8' | 'int8' | 'int32', shape: (number | string)[]) =>
      graph.input(name, type, shape);
    const loss = b.integerVocabularyLoss(b.exp(input('hidden', 'float32', ['rows', size])), {
      coded: {
        codes: input('codes', 'uint8', ['rows', size]),
        largest: input('largest', 'float32', ['rows', 1]),
        limit: 127,
        factor: {
          values: input('values', 'int8', [size, classes]),
          columns: input('columns', 'float32', [classes]),
          backValues: input('backValues', 'int8', [classes, size]),
          backColumns: input('backColumns', 'float32', [size]),
        },
      },
      labels: input('labels', 'int32', ['rows', 1]),
      rows: 3,
      differentiable: false,
    });
    graph.output('loss', loss);
    // Two float32 and two bytes a score of three rows, and a number a row of all seven.
    expect(peakBytes(graph, { rows: 7 })).toBeGreaterThanOrEqual(10 * 3 * classes + 4 * 7);
    expect(peakBytes(graph, { rows: 7 })).toBeLessThan(10 * 3 * classes + 4 * 7 * (size + 2));
  });

  it('reads products and sums of named sizes', () => {
    expect(elementsOf(['2*batch', '(length+past)'], { batch: 3, length: 5, past: 2 })).toBe(42);
    expect(() => elementsOf(['batch'], {})).toThrow('batch');
  });

  it('is the smaller the more is computed again', () => {
    const [none, light, layers] = RECOMPUTES.map((mode) =>
      peakBytes(graphOf(mode, { rows: 16 }), sizesOf(batch)),
    );
    expect(light).toBeLessThan(none);
    expect(layers).toBeLessThan(light);
  });
});

describe('what is kept in float16', () => {
  it.each(['none', 'light'] as const)('takes less than float32 where %s is computed again', (mode) => {
    const peak = (halved: boolean) => peakBytes(graphOf(mode, { rows: 16, halved }), sizesOf(batch));
    expect(peak(true)).toBeLessThan(peak(false));
  });

  it('gives the same gradients bit for bit, whatever is computed again', async () => {
    const plain = await gradientsWithin({ precision: 'int8', recompute: 'none' });
    for (const recompute of RECOMPUTES) {
      expect(await gradientsWithin({ precision: 'int8', recompute })).toEqual(plain);
    }
    expect(plain.some((gradient) => gradient !== 0)).toBe(true);
  });
});

interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
}

/** Names of the nodes in the order in which ONNX Runtime ran them. */
async function recordedOrder(recompute: Recompute): Promise<string[]> {
  const folder = temporaryFolder();
  await gradientsWithin({ recompute, profile: join(folder, 'record') });
  const [file] = readdirSync(folder);
  const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as ProfileEvent[];
  const kernels = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
  return kernels.sort((a, b) => a.ts - b.ts).map(({ name }) => name);
}

describe('the backward pass', () => {
  it('gives the gradients of a layer before it comes to the one below, so that nothing waits for the end', async () => {
    const order = await recordedOrder('layers');
    const first = (layer: number) =>
      order.findIndex((name) => name.startsWith(`/recomputed/layers.${layer}/`));
    const last = (layer: number) =>
      order.findLastIndex((name) => name.startsWith(`/gradient/layers.${layer}/`));
    expect(first(0)).toBeGreaterThan(0);
    for (let layer = 1; layer < TINY_CONFIGURATION.layers; layer++) {
      expect(last(layer)).toBeLessThan(first(layer - 1));
    }
  });
});

describe('a memory limit', () => {
  it('makes a step compute again what does not fit, with the same gradients bit for bit', async () => {
    const plain = await gradientsWithin({});
    for (const recompute of RECOMPUTES) {
      expect(await gradientsWithin({ recompute })).toEqual(plain);
      expect(await gradientsWithin({ memoryLimit: estimate(recompute) + 1 })).toEqual(plain);
    }
  });

  it('refuses a batch that does not fit at all, as what may be divided', async () => {
    const memoryLimit = Math.min(...RECOMPUTES.map(estimate)) - 1;
    await expect(gradientsWithin({ memoryLimit })).rejects.toMatchObject({ code: 'engine.out-of-memory' });
  });
});
