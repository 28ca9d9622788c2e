/** @file The graphs that an engine runs: loss with gradients, loss alone, and the next token's scores. */

import { crossEntropy, gather, mul, reduceSum } from '../graph/build.ts';
import { sum } from '../graph/dimension.ts';
import { gradients } from '../graph/gradient.ts';
import { Graph } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { decoder, head, type DecoderParts, type KeysAndValues } from '../model/architectures/llama.ts';
import type { ModelConfiguration } from '../model/configuration.ts';
import { FrozenWeights, type Packing, type WeightInput } from '../model/frozen-weights.ts';
import { loraNames, loraScale, targetedLinears, type LoraConfiguration } from '../model/lora.ts';

/** What a graph is built from. */
export interface GraphPlan {
  readonly configuration: ModelConfiguration;
  readonly packing: (tensor: string) => Packing;
  readonly adapter: LoraConfiguration | null;
}

export interface ModelGraph {
  readonly graph: Graph;
  /** Inputs that are fed from the model's file. */
  readonly weights: readonly WeightInput[];
  /** Names of the adapter's tensors; each is an input of its own name. */
  readonly parameters: readonly string[];
}

/**
 * Loss of a batch. Inputs: `ids` int32 [batch, length], `positions` int64 [batch, length], `mask` float32
 * [batch, 1, 1, length, length], `cos` and `sin`, `rows` int64 [rows]: flat positions whose next token is
 * supervised, `labels` int64 [rows, 1]: those tokens, `weights` float32 [rows, 1]: their share of the loss.
 * Outputs: `loss` = Σ weights · nll, `nll` [rows, 1] and, if asked for, `gradient/NAME` of each adapter tensor.
 */
export function lossGraph(plan: GraphPlan, options: { gradients: boolean }): ModelGraph {
  const graph = new Graph();
  const { parts, parameters } = decoderParts(graph, plan);
  const { hidden } = decoder(parts, decoderInputs(graph, plan));
  const rows = graph.input('rows', 'int64', ['rows']);
  const labels = graph.input('labels', 'int64', ['rows', 1]);
  const shares = graph.input('weights', 'float32', ['rows', 1]);
  const nll = graph.scope('loss', () => crossEntropy(head(parts, gather(hidden, rows)), labels));
  const loss = graph.scope('loss', () => reduceSum(mul(nll, shares), [0, 1]));
  graph.output('loss', loss);
  graph.output('nll', nll);
  if (options.gradients) {
    const found = gradients(loss, [...parameters.values()]);
    [...parameters.keys()].forEach((name, index) => graph.output(`gradient/${name}`, found[index]));
  }
  return { graph, weights: parts.weights.inputs, parameters: [...parameters.keys()] };
}

/**
 * Scores of the next token with a cache. Inputs as of the loss but `mask` [batch, 1, 1, length, past + length],
 * `past/LAYER/keys` and `past/LAYER/values` [batch, heads, past, size], `rows` int64 [rows]. Outputs: `logits`
 * [rows, vocabularySize], `present/LAYER/keys` and `present/LAYER/values`.
 */
export function generationGraph(plan: GraphPlan): ModelGraph {
  const graph = new Graph();
  const { layers, keyValueHeads, headSize } = plan.configuration;
  const { parts, parameters } = decoderParts(graph, plan);
  const cache = (layer: number, part: string) =>
    graph.input(`past/${layer}/${part}`, 'float32', ['batch', keyValueHeads, 'past', headSize]);
  const past = Array.from({ length: layers }, (_, layer): KeysAndValues => ({
    keys: cache(layer, 'keys'),
    values: cache(layer, 'values'),
  }));
  const { hidden, present } = decoder(parts, { ...decoderInputs(graph, plan, sum('past', 'length')), past });
  const rows = graph.input('rows', 'int64', ['rows']);
  graph.output('logits', head(parts, gather(hidden, rows)));
  present.forEach(({ keys, values }, layer) => {
    graph.output(`present/${layer}/keys`, keys);
    graph.output(`present/${layer}/values`, values);
  });
  return { graph, weights: parts.weights.inputs, parameters: [...parameters.keys()] };
}

function decoderInputs(graph: Graph, { configuration }: GraphPlan, total = sum('length', 0)) {
  const half = configuration.headSize / 2;
  return {
    ids: graph.input('ids', 'int32', ['batch', 'length']),
    positions: graph.input('positions', 'int64', ['batch', 'length']),
    mask: graph.input('mask', 'float32', ['batch', 1, 1, 'length', total]),
    cos: graph.input('cos', 'float32', ['positions', half]),
    sin: graph.input('sin', 'float32', ['positions', half]),
  };
}

function decoderParts(
  graph: Graph,
  { configuration, packing, adapter }: GraphPlan,
): { parts: DecoderParts; parameters: Map<string, Value> } {
  const parameters = new Map<string, Value>();
  const factors = new Map<string, { A: Value; B: Value; scale: number }>();
  if (adapter) {
    for (const { module, shape } of targetedLinears(configuration, adapter.targets)) {
      const names = loraNames(module);
      const A = graph.input(names.A, 'float32', [adapter.rank, shape[1]]);
      const B = graph.input(names.B, 'float32', [shape[0], adapter.rank]);
      parameters.set(names.A, A).set(names.B, B);
      factors.set(module, { A, B, scale: loraScale(adapter) });
    }
  }
  const weights = new FrozenWeights(graph, packing);
  const parts: DecoderParts = {
    graph,
    configuration,
    weights,
    adapter: (module) => factors.get(module) ?? null,
  };
  return { parts, parameters };
}
