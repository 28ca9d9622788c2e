/** @file The program that tries devices: computes on each of those named and tells its parent of each, then null. */

import { performance } from 'node:perf_hooks';

import { Tensor } from 'onnxruntime-node';

import { matMul } from '../graph/build.ts';
import { Graph } from '../graph/graph.ts';
import { listenToParent } from '../parent-program.ts';
import { Random } from '../random.ts';
import { DEVICES, NO_GRAPHICS, type Device, type Probe } from './devices.ts';
import { openGraph } from './graph-session.ts';

const SIZE = 1024;
const PRODUCTS = 4;
const RUNS = 2;
/** Largest difference from the CPU's result, relative to its largest value, that passes for rounding. */
const TOLERANCE = 1e-3;

function chain(): Graph {
  const graph = new Graph();
  const factor = graph.input('factor', 'float32', [SIZE, SIZE]);
  let value = graph.input('start', 'float32', ['rows', SIZE]);
  for (let product = 0; product < PRODUCTS; product++) value = matMul(value, factor);
  graph.output('result', value);
  return graph;
}

function matrix(seed: string): Tensor {
  const random = new Random('device-probe', seed);
  // Of unit length per row, so that values neither grow nor vanish along the chain.
  const data = Float32Array.from(
    { length: SIZE * SIZE },
    () => (random.uniform() - 0.5) * Math.sqrt(12 / SIZE),
  );
  return new Tensor('float32', data, [SIZE, SIZE]);
}

const feeds = { start: matrix('start'), factor: matrix('factor') };

async function measure(device: Device): Promise<{ result: Float32Array; milliseconds: number }> {
  const session = await openGraph(chain(), null, { device, threads: 0 });
  try {
    let { result } = await session.run(feeds);
    let milliseconds = Infinity;
    for (let run = 0; run < RUNS; run++) {
      const started = performance.now();
      ({ result } = await session.run(feeds));
      milliseconds = Math.min(milliseconds, performance.now() - started);
    }
    return { result: result.data as Float32Array, milliseconds };
  } finally {
    await session.release();
  }
}

/** What ONNX Runtime says, in short. */
function problemOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/No supported adapters/i.test(message)) return NO_GRAPHICS;
  if (/Failed to load (shared )?library|backend not found/i.test(message))
    return 'its library is not installed';
  return message.split('\n')[0].slice(0, 200);
}

function isClose(expected: Float32Array, actual: Float32Array): boolean {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return expected.every((value, index) => Math.abs(value - actual[index]) <= TOLERANCE * largest);
}

async function probe(device: Device, cpu: () => ReturnType<typeof measure>): Promise<Probe> {
  try {
    const { result, milliseconds } = await measure(device);
    const expected = await cpu();
    if (!isClose(expected.result, result)) return { device, problem: 'it computes wrong results' };
    return { device, milliseconds, cpuMilliseconds: expected.milliseconds };
  } catch (error) {
    return { device, problem: problemOf(error) };
  }
}

const send = listenToParent(() => undefined);
let measured: ReturnType<typeof measure> | null = null;
for (const device of process.argv.slice(2).map((name) => DEVICES.find((known) => known === name))) {
  // Where no device can be opened the CPU need not compute either.
  if (device) send(await probe(device, () => (measured ??= measure('cpu'))));
}
send(null);
