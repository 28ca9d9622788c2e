/** @file What the graphs of an engine share: inputs, frozen weights and adapter. */

import { fromHalf, toHalf } from '../../graph/build.ts';
import { sum } from '../../graph/dimension.ts';
import type { Graph } from '../../graph/graph.ts';
import type { Value } from '../../graph/graph.ts';
import type { ExternalData } from '../../graph/onnx.ts';
import type { DecoderParts } from '../../model/architectures/decoder.ts';
import type { LowRankBranch } from '../../model/architectures/linear.ts';
import type { ModelConfiguration } from '../../model/configuration.ts';
import { FrozenWeights, type Packing, type WeightInput } from '../../model/frozen-weights.ts';
import type { CodedPacking } from '../../model/integer-weights.ts';
import { loraNames, loraScale, targetedLinears, type LoraConfiguration } from '../../model/lora.ts';
import { actingRate, dropoutOf } from './dropout.ts';
import type { Recompute } from './recompute.ts';

/** What a graph is built from. */
export interface GraphPlan {
  readonly configuration: ModelConfiguration;
  readonly packing: (tensor: string) => Packing;
  /** Codes of the head, from which the loss of a part of the rows at a time is computed; default none. */
  readonly headCodes?: CodedPacking | null;
  readonly adapter: LoraConfiguration | null;
  /** Whether the adapter's dropout acts, as it does while training; default no. */
  readonly dropping?: boolean;
  /** What the backward pass computes again rather than keeps; default nothing. */
  readonly recompute?: Recompute;
  /** For so many rows scores over the vocabulary lie in memory at once; default for all. */
  readonly scoreRows?: number;
  /** For so many places of a text attention's scores lie in memory at once; default for all. */
  readonly attentionRows?: number;
  /** Whether what the backward pass reads of activations lies in float16 until then; default no. */
  readonly halved?: boolean;
  /** Told of every branch of the adapter that was built. */
  readonly branchBuilt?: DecoderParts['branchBuilt'];
}

export interface ModelGraph {
  readonly graph: Graph;
  /** Inputs that are fed from the model's file. */
  readonly weights: readonly WeightInput[];
  /** Names of the adapter's tensors; each is an input of its own name. */
  readonly parameters: readonly string[];
  /** How the graph is opened, where that is not as all others are: with a file of its own, and operators fused. */
  readonly opening?: {
    external(): Promise<{ readonly data: ExternalData; readonly folder: string }>;
    readonly fused: boolean;
  };
}

/** The inputs that every graph of a decoder takes; `total` is how many tokens can be attended to. */
export function decoderInputs(graph: Graph, { configuration }: GraphPlan, total = sum('length', 0)) {
  const half = configuration.headSize / 2;
  return {
    ids: graph.input('ids', 'int32', ['batch', 'length']),
    positions: graph.input('positions', 'int64', ['batch', 'length']),
    mask: graph.input('mask', 'float32', ['batch', 1, 1, 'length', total]),
    cos: graph.input('cos', 'float32', ['positions', half]),
    sin: graph.input('sin', 'float32', ['positions', half]),
  };
}

/** The decoder with its frozen weights, and the adapter's tensors as inputs of their own names. */
export function decoderParts(
  graph: Graph,
  { configuration, packing, adapter, dropping, attentionRows, halved, branchBuilt }: GraphPlan,
): { parts: DecoderParts; parameters: Map<string, Value> } {
  const parameters = new Map<string, Value>();
  const branches = new Map<string, LowRankBranch>();
  if (adapter) {
    const modules = targetedLinears(configuration, adapter);
    const rate = dropping === true ? actingRate(adapter.dropout ?? 0) : 0;
    const seen = rate > 0 ? dropoutOf(graph, modules, rate) : null;
    for (const { module, shape } of modules) {
      const names = loraNames(module);
      const A = graph.input(names.A, 'float32', [adapter.rank, shape[1]]);
      const B = graph.input(names.B, 'float32', [shape[0], adapter.rank]);
      parameters.set(names.A, A).set(names.B, B);
      const scale = loraScale(adapter) / (1 - rate);
      branches.set(module, { A, B, scale, ...(seen && { seen: seen(module) }) });
    }
  }
  const weights = new FrozenWeights(graph, packing);
  const parts: DecoderParts = {
    graph,
    configuration,
    weights,
    adapter: (module) => branches.get(module) ?? null,
    ...(attentionRows !== undefined && { attentionRows }),
    kept: (x) => (halved === true ? fromHalf(toHalf(x)) : x),
    ...(branchBuilt && { branchBuilt }),
  };
  return { parts, parameters };
}
