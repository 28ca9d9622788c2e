/** @file The next token's scores, and losses of tokens, with a cache of keys and values. */

import { gather } from '../../graph/build.ts';
import { sum } from '../../graph/dimension.ts';
import { Graph, type Value } from '../../graph/graph.ts';
import { decoder, head, type DecoderParts, type KeysAndValues } from '../../model/architectures/decoder.ts';
import { negativeLogLikelihoods } from './loss.ts';
import { decoderInputs, decoderParts, type GraphPlan, type ModelGraph } from './parts.ts';

/**
 * Scores of the next token with a cache. Inputs as of the loss but `mask` [batch, 1, 1, length, past + length],
 * `past/LAYER/keys` and `past/LAYER/values` [batch, heads, past, size], `rows` int32 [rows]. Outputs: `logits`
 * [rows, vocabularySize], `present/LAYER/keys` and `present/LAYER/values`.
 */
export function generationGraph(plan: GraphPlan): ModelGraph {
  const graph = new Graph();
  const { parts, parameters } = decoderParts(graph, plan);
  const hidden = continuedDecoder(graph, plan, parts);
  const rows = graph.input('rows', 'int32', ['rows']);
  graph.output('logits', head(parts, gather(hidden, rows)));
  return { graph, weights: parts.weights.inputs, parameters: [...parameters.keys()] };
}

/**
 * Losses of tokens with a cache. Inputs as of {@link generationGraph} and `labels` int32 [rows, 1]: what follows
 * `rows`. Outputs: `nll` [rows, 1], the negative log-likelihood of each, and `present/LAYER/…`.
 */
export function scoringGraph(plan: GraphPlan): ModelGraph {
  const graph = new Graph();
  const { parts, parameters } = decoderParts(graph, plan);
  const hidden = continuedDecoder(graph, plan, parts);
  graph.output('nll', negativeLogLikelihoods(parts, hidden, { ...plan, differentiable: 'nothing' }));
  return { graph, weights: parts.weights.inputs, parameters: [...parameters.keys()] };
}

/** The decoder's hidden states after what a cache holds. Inputs `past/LAYER/…`, outputs `present/LAYER/…`. */
function continuedDecoder(graph: Graph, plan: GraphPlan, parts: DecoderParts): Value {
  const { layers, keyValueHeads, headSize } = plan.configuration;
  const cache = (layer: number, part: string) =>
    graph.input(`past/${layer}/${part}`, 'float32', ['batch', keyValueHeads, 'past', headSize]);
  const past = Array.from({ length: layers }, (_, layer): KeysAndValues => ({
    keys: cache(layer, 'keys'),
    values: cache(layer, 'values'),
  }));
  const { hidden, present } = decoder(parts, { ...decoderInputs(graph, plan, sum('past', 'length')), past });
  present.forEach(({ keys, values }, layer) => {
    graph.output(`present/${layer}/keys`, keys);
    graph.output(`present/${layer}/values`, values);
  });
  return hidden;
}
