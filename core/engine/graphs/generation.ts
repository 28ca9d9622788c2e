/** @file The next token's scores, with a cache of keys and values. */

import { gather } from '../../graph/build.ts';
import { sum } from '../../graph/dimension.ts';
import { Graph } from '../../graph/graph.ts';
import { decoder, head, type KeysAndValues } from '../../model/architectures/decoder.ts';
import { decoderInputs, decoderParts, type GraphPlan, type ModelGraph } from './parts.ts';

/**
 * Scores of the next token with a cache. Inputs as of the loss but `mask` [batch, 1, 1, length, past + length],
 * `past/LAYER/keys` and `past/LAYER/values` [batch, heads, past, size], `rows` int32 [rows]. Outputs: `logits`
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
  const rows = graph.input('rows', 'int32', ['rows']);
  graph.output('logits', head(parts, gather(hidden, rows)));
  present.forEach(({ keys, values }, layer) => {
    graph.output(`present/${layer}/keys`, keys);
    graph.output(`present/${layer}/values`, values);
  });
  return { graph, weights: parts.weights.inputs, parameters: [...parameters.keys()] };
}
