/** @file A graph opened in ONNX Runtime on a device. */

import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { writeFileAtomically } from '../files.ts';
import type { Graph } from '../graph/graph.ts';
import { toOnnx, type ExternalData } from '../graph/onnx.ts';
import { shapeValues } from '../graph/shapes.ts';
import { PROVIDERS, type Device } from './devices.ts';

export interface GraphSession {
  /**
   * Computes the outputs.
   * @param outputs their names, or a tensor for each that takes its values, null for one that is made; all by default
   */
  run(
    feeds: Readonly<Record<string, Tensor>>,
    outputs?: readonly string[] | Readonly<Record<string, Tensor | null>>,
  ): Promise<Record<string, Tensor>>;
  release(): Promise<void>;
}

export interface SessionOptions {
  readonly device: Device;
  /** Threads inside one operator. */
  readonly threads: number;
  /** Where ONNX Runtime's record of every node that ran goes, a file a session: the start of their paths. */
  readonly profile?: string;
  /** Whether operators are fused where the CPU has a kernel for it; default no. */
  readonly fused?: boolean;
  /** Whether kernels may keep weights in an order of their own, beside those in the file; default yes. */
  readonly prepacked?: boolean;
}

/** How long a thread waits awake. */
const SPIN_MICROSECONDS = '300';

let isFlushing = false;

/**
 * Has numbers below the normal ones of float32 be zero in all sessions to come. What a mask hides has such a
 * probability, and Intel's processors take a hundred times as long for a product with one. The thread that opens the
 * first session computes so from then on, JavaScript included: for processes that do nothing beside.
 */
export function flushDenormals(): void {
  isFlushing = true;
}

let collectResults: (() => void) | null = null;

/**
 * Has what a run returned be collected before the next one. The binding copies every result for JavaScript, also those
 * that were given a tensor to be written to: a copy of all gradients a run, which V8 lets lie for some runs.
 * @param collect frees what was made since it was called before
 */
export function collectResultsWith(collect: () => void): void {
  collectResults = collect;
}

/** @param external inputs that are read from a file, and the folder of that file; null when all are fed */
export async function openGraph(
  graph: Graph,
  external: { readonly data: ExternalData; readonly folder: string } | null,
  { device, threads, profile, fused = false, prepacked = true }: SessionOptions,
): Promise<GraphSession> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: [PROVIDERS[device]],
    // The graph is written as it is to run: ONNX Runtime's rewriting would take seconds to find nothing to gain, keep
    // results for longer, unpack weights, or use operators that other devices lack.
    graphOptimizationLevel: fused ? 'extended' : 'disabled',
    intraOpNumThreads: threads,
    // A pattern is planned for one shape; with batches of many lengths it only costs memory.
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: {
      session: {
        // A thread that waits for the next operator is woken late if it sleeps at once; several sites may share one
        // machine, so that it must not burn a core for long either.
        intra_op: { allow_spinning: '1', spin_duration_us: SPIN_MICROSECONDS },
        ...(isFlushing && { set_denormal_as_zero: '1' }),
        // Weights that are read from a file stay there: eight-bit products are as fast without a copy of them.
        ...(prepacked ? {} : { disable_prepacking: '1' }),
      },
    },
    ...(profile !== undefined && { enableProfiling: true, profileFilePrefix: profile }),
  };
  const { bytes, shapes } = toOnnx(graph, external?.data);
  const session = external
    ? await openInFolder(bytes, external.folder, options)
    : await InferenceSession.create(bytes, options);
  // Beside these nothing of the graph is needed any more, nor kept.
  const inputs = graph.inputs.map(({ name, shape }) => ({ name, shape }));
  return {
    async run(feeds, outputs) {
      const all = { ...feeds };
      for (const [name, values] of shapeValues(inputs, shapes, feeds)) {
        all[name] = new Tensor('int64', values, [values.length]);
      }
      if (outputs && !Array.isArray(outputs)) collectResults?.();
      return await (outputs ? session.run(all, outputs) : session.run(all));
    },
    async release() {
      if (profile !== undefined) session.endProfiling();
      await session.release();
    },
  };
}

/** External data is looked for beside the model, so that it has to be a file too, for as long as it is opened. */
async function openInFolder(
  bytes: Uint8Array,
  folder: string,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  const path = join(folder, `${randomUUID()}.onnx`);
  mkdirSync(folder, { recursive: true });
  await writeFileAtomically(path, bytes);
  try {
    return await InferenceSession.create(path, options);
  } finally {
    await rm(path, { force: true });
  }
}
