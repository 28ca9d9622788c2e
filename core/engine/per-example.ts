/** @file Gradients of each example of a batch, as differentially private training needs them. */

import { Tensor } from 'onnxruntime-node';

import { targetedLinears } from '../model/lora.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { EngineBatch } from './batch.ts';
import type { DropoutDraw } from './dropout.ts';
import { lossFeeds } from './feeds.ts';
import { dropoutDraw, gradientOutputs } from './gradients.ts';
import { perExampleGraph, type PerExampleResult } from './graphs/per-example.ts';
import type { Parameters } from './parameters.ts';
import { float32, type EngineAdapter, type Sessions } from './sessions.ts';

/** The loss of an example: the mean of its supervised tokens' losses, or their sum. */
export type ExampleLoss = 'mean' | 'sum';

export interface PerExampleOptions {
  /** Default the mean, so that long answers count no more than short ones. */
  readonly loss?: ExampleLoss;
  /** Lets the adapter's dropout act. */
  readonly dropout?: DropoutDraw;
}

export interface ExampleGradients {
  /** Sum over the examples of their losses. */
  readonly loss: number;
  /** ‖gᵢ‖₂ over all differentiated tensors, one an example. */
  readonly norms: Float32Array;
}

/**
 * The gradients of every example's own loss, [examples, …] under each tensor's name. Takes examples × parameters ×
 * 4 bytes besides what a step takes; {@link clippedGradients} gives back what one example takes.
 * @param names the tensors of the adapter that are differentiated
 * @throws Error when the batch does not hold one example a row, or one of them has nothing supervised
 */
export async function perExampleGradients(
  sessions: Sessions,
  batch: EngineBatch,
  adapter: EngineAdapter,
  options: PerExampleOptions & { readonly names: readonly string[] },
): Promise<ExampleGradients & { gradients: NamedTensors }> {
  const results = await run(sessions, batch, { adapter, ...options, result: 'each' });
  const gradients = new Map(
    options.names.map((name) => {
      const { dims } = results[`gradient/${name}`];
      return [name, { shape: dims, data: float32(results[`gradient/${name}`]) }];
    }),
  );
  return { ...outcome(results), gradients };
}

/**
 * Σᵢ gᵢ · min(1, bound / ‖gᵢ‖), the clipped sum of DP-SGD (Abadi et al., 2016), written into `gradients`, whose
 * names decide which tensors are differentiated and measured. All examples' gradients exist only inside of the graph.
 * @throws Error as {@link perExampleGradients}
 */
export async function clippedGradients(
  sessions: Sessions,
  batch: EngineBatch,
  {
    gradients,
    bound,
    ...adapter
  }: EngineAdapter & { readonly gradients: Parameters; readonly bound: number },
  options: PerExampleOptions = {},
): Promise<ExampleGradients> {
  const names = [...gradients.tensors.keys()];
  const outputs = { loss: null, norms: null, ...gradientOutputs(gradients) };
  return outcome(
    await run(sessions, batch, { adapter, names, bound, ...options, result: 'clipped', outputs }),
  );
}

async function run(
  sessions: Sessions,
  batch: EngineBatch,
  work: PerExampleOptions & {
    adapter: EngineAdapter;
    names: readonly string[];
    result: PerExampleResult;
    bound?: number;
    outputs?: Record<string, Tensor | null>;
  },
): Promise<Record<string, Tensor>> {
  const { adapter, names, result, bound } = work;
  const { configuration } = adapter;
  const draw = work.dropout && dropoutDraw(configuration, work.dropout);
  const kind = `per example ${result} ${draw ? draw.rate : 0} of ${names.join(' ')}`;
  const program = await sessions.program(kind, configuration, (plan) =>
    perExampleGraph({ ...plan, dropping: draw !== undefined }, { differentiated: names, result }),
  );
  const feeds = {
    ...lossFeeds(batch, tokenWeights(batch, work.loss ?? 'mean'), sessions.configuration.slidingWindow),
    ...sessions.feeds(program, batch.length, adapter),
    ...(draw && sessions.dropout.feeds(draw, targetedLinears(sessions.configuration, configuration), batch)),
    ...(bound !== undefined && { bound: new Tensor('float32', Float32Array.of(bound), [1, 1]) }),
  };
  return work.outputs ? program.session.run(feeds, work.outputs) : program.session.run(feeds);
}

function outcome(results: Record<string, Tensor>): ExampleGradients {
  return { loss: float32(results.loss)[0], norms: float32(results.norms) };
}

/** What each supervised token counts in the sum of the examples' losses. */
function tokenWeights(
  { batch, length, segments, examples, targets }: EngineBatch,
  loss: ExampleLoss,
): Float32Array {
  const isInOwnRow = targets.examples.every(
    (example, index) => example === Math.floor(targets.places[index] / length),
  );
  if (examples !== batch || segments.length !== batch || !isInOwnRow) {
    throw new Error(
      `gradients of each of ${examples} examples need one a row, in order; there are ${batch} rows`,
    );
  }
  const counts = new Int32Array(examples);
  for (const example of targets.examples) counts[example]++;
  if (counts.includes(0)) throw new Error('an example of the batch has no supervised token');
  return Float32Array.from(targets.examples, (example) => (loss === 'mean' ? 1 / counts[example] : 1));
}
