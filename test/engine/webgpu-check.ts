/**
 * @file Computes on WebGPU and on the CPU and prints how the results differ and which nodes ran where, as JSON. A
 * program of its own, because a graphics driver is chosen when a process starts, and its crash must not take a test
 * run along.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Precision } from '../../core/engine/precisions.ts';
import { paddedBatch } from '../../core/engine/batch.ts';
import type { Device } from '../../core/engine/devices.ts';
import { Engine } from '../../core/engine/engine.ts';
import { emptyParameters } from '../../core/engine/parameters.ts';
import { initialAdapter, loraShapes, type LoraConfiguration } from '../../core/model/lora.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { Random } from '../../core/random.ts';

/** What a case computes, by name. */
type Results = Record<string, ArrayLike<number>>;

/** What the test expects of a case. */
export interface WebGpuReport {
  readonly name: string;
  /** Largest difference of each result, relative to its largest value on the CPU. */
  readonly differences: Readonly<Record<string, number>>;
  /** Nodes by the provider that ran them. */
  readonly nodes: Readonly<Record<string, readonly string[]>>;
}

const lora: LoraConfiguration = { rank: 4, alpha: 8, targets: 'all-linear' };

/** As it is some steps into a training: both matrices are other than zero. */
function trainedAdapter(configuration: LoraConfiguration) {
  const parameters: NamedTensors = initialAdapter(TINY_CONFIGURATION, configuration, 1);
  const random = new Random('webgpu', 'adapter');
  for (const [name, { data }] of parameters) {
    if (name.includes('lora_B')) for (let i = 0; i < data.length; i++) data[i] = (random.uniform() - 0.5) / 5;
  }
  return { configuration, parameters };
}

function text(seed: number, length: number) {
  const random = new Random('webgpu', 'text', seed);
  const ids = Array.from({ length }, () => random.uint32() % 250);
  return { ids, labels: ids };
}

/** Four texts of two lengths, so that some places are padding. */
const batch = paddedBatch([text(1, 11), text(2, 7), text(3, 11), text(4, 7)], 0);

function named(loss: number, { tensors }: { tensors: NamedTensors }): Results {
  return { loss: [loss], ...Object.fromEntries([...tensors].map(([name, { data }]) => [name, data])) };
}

const supervised =
  (configuration = lora) =>
  async (engine: Engine): Promise<Results> => {
    const gradients = emptyParameters(loraShapes(TINY_CONFIGURATION, configuration));
    const dropout = configuration.dropout === undefined ? {} : { dropout: { seed: [1], step: [1, 0] } };
    const adapter = { ...trainedAdapter(configuration), gradients, ...dropout };
    return named(await engine.lossAndGradients(batch, adapter), gradients);
  };

const cases: { name: string; precision: Precision; compute: (engine: Engine) => Promise<Results> }[] = [
  { name: 'training at f32', precision: 'f32', compute: supervised() },
  { name: 'training at int4', precision: 'int4', compute: supervised() },
  { name: 'training with dropout', precision: 'f32', compute: supervised({ ...lora, dropout: 0.25 }) },
  {
    name: 'training on preferences',
    precision: 'f32',
    compute: async (engine) => {
      const gradients = emptyParameters(loraShapes(TINY_CONFIGURATION, lora));
      const objective = { loss: 'sigmoid', beta: 0.1, labelSmoothing: 0.1 } as const;
      const adapter = { ...trainedAdapter(lora), gradients, objective };
      const pairs = { batch, reference: [-2, 3], share: 0.5 };
      return named((await engine.preferenceGradients(pairs, adapter)).loss, gradients);
    },
  },
  {
    name: 'scores',
    precision: 'int4',
    compute: async (engine) => ({ scores: await engine.logits(batch, [4, 30], trainedAdapter(lora)) }),
  },
];

async function computeOn(device: Device, { precision, compute }: (typeof cases)[number], folder: string) {
  const profile = join(folder, `${device}-`);
  const engine = new Engine(openTiny().weights, { precision, device, threads: 1, cache: folder, profile });
  const results = await compute(engine);
  await engine.release();
  return results;
}

/** The nodes of ONNX Runtime's records, `operator name`, by the provider that ran them. */
function nodesByProvider(folder: string): Record<string, string[]> {
  const nodes: Record<string, Set<string>> = {};
  for (const file of readdirSync(folder).filter((name) => name.startsWith('webgpu-'))) {
    const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as {
      cat: string;
      name: string;
      args?: { provider?: string; op_name?: string };
    }[];
    for (const { cat, name, args } of events) {
      if (cat !== 'Node' || !args?.provider) continue;
      (nodes[args.provider] ??= new Set()).add(`${args.op_name} ${name.replace(/_kernel_time$/, '')}`);
    }
  }
  return Object.fromEntries(Object.entries(nodes).map(([provider, names]) => [provider, [...names]]));
}

function difference(expected: ArrayLike<number>, actual: ArrayLike<number>): number {
  if (expected.length !== actual.length) return Infinity;
  let largest = 0;
  let worst = 0;
  for (let index = 0; index < expected.length; index++) {
    largest = Math.max(largest, Math.abs(expected[index]));
    const apart = Math.abs(expected[index] - actual[index]);
    // A comparison with NaN must not pass.
    worst = apart <= worst ? worst : apart;
  }
  return worst / largest;
}

const reports: WebGpuReport[] = [];
for (const one of cases) {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-webgpu-'));
  try {
    const expected = await computeOn('cpu', one, folder);
    const actual = await computeOn('webgpu', one, folder);
    const differences = Object.fromEntries(
      Object.entries(expected).map(([name, values]) => [name, difference(values, actual[name])]),
    );
    reports.push({ name: one.name, differences, nodes: nodesByProvider(folder) });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
process.stdout.write(JSON.stringify(reports));
