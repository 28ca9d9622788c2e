/**
 * @file A merged model as an ONNX graph with a cache of keys and values, under the names that Hugging Face's Optimum
 * gave such graphs, so that programs that run those run this one.
 */

import { attentionMask, reshape } from '../graph/build.ts';
import { sum } from '../graph/dimension.ts';
import { Graph } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { toOnnx } from '../graph/onnx.ts';
import type { FileContent } from '../files.ts';
import { decoder, head } from '../model/architectures/decoder.ts';
import type { DecoderParts } from '../model/architectures/decoder.ts';
import type { ModelConfiguration } from '../model/configuration.ts';
import { FrozenWeights } from '../model/frozen-weights.ts';
import { pack, packedLength } from '../model/pack.ts';
import { rotaryTables } from '../model/rope.ts';
import { elementCount } from '../model/tensor.ts';
import { mergedInTurn } from './merge.ts';
import type { Merge } from './merge.ts';

const GRAPH = 'model.onnx';
const WEIGHTS = 'model.onnx_data';
/** Ranges that begin at its multiples can be mapped into memory. */
const PAGE = 4096;

/** The graph, its weights and the model's other files, by name. */
export function onnxFiles(merge: Merge): Record<string, FileContent> {
  const { model } = merge;
  const graph = modelGraph(model.configuration);
  const { cos, sin } = rotaryTables(model.configuration, model.configuration.maximumPositions);
  const tables = new Map([
    ['cos', cos],
    ['sin', sin],
  ]);
  const names = [...tables.keys(), ...model.weights.names];
  const ranges = new Map<string, { offset: number; length: number }>();
  let offset = 0;
  for (const name of names) {
    const values = tables.get(name)?.length ?? elementCount(model.weights.describe(name).shape);
    const length = packedLength('F32', values);
    ranges.set(name, { offset, length });
    offset += Math.ceil(length / PAGE) * PAGE;
  }
  const { bytes } = toOnnx(graph, { location: WEIGHTS, ranges }, { reader: 'others' });
  return { ...model.files(), [GRAPH]: bytes, [WEIGHTS]: weightsFile(merge, tables) };
}

function* weightsFile(merge: Merge, tables: ReadonlyMap<string, Float32Array>): Generator<Uint8Array> {
  const next = mergedInTurn(merge);
  for (const table of tables.values()) yield* wholePages(pack('F32', table));
  for (const name of merge.model.weights.names) yield* wholePages(pack('F32', next(name)));
}

function* wholePages(bytes: Uint8Array): Generator<Uint8Array> {
  yield bytes;
  const missing = (PAGE - (bytes.length % PAGE)) % PAGE;
  if (missing > 0) yield Buffer.alloc(missing);
}

/**
 * Inputs: `input_ids`, `position_ids` int64 [batch, length]; `attention_mask` int64 [batch, past + length], 1 for a
 * token and 0 for padding; `past_key_values.LAYER.key` and `.value` [batch, heads, past, size]. Outputs: `logits`
 * [batch, length, vocabularySize], `present.LAYER.key` and `.value`.
 */
function modelGraph(configuration: ModelConfiguration): Graph {
  const { layers, keyValueHeads, headSize, maximumPositions, vocabularySize, slidingWindow } = configuration;
  const graph = new Graph();
  const ids = graph.input('input_ids', 'int64', ['batch', 'length']);
  const tokens = graph.input('attention_mask', 'int64', ['batch', sum('past', 'length')]);
  const positions = graph.input('position_ids', 'int64', ['batch', 'length']);
  const cache = (name: string): Value =>
    graph.input(name, 'float32', ['batch', keyValueHeads, 'past', headSize]);
  const past = Array.from({ length: layers }, (_, layer) => ({
    keys: cache(`past_key_values.${layer}.key`),
    values: cache(`past_key_values.${layer}.value`),
  }));
  const table = (name: string) => graph.input(name, 'float32', [maximumPositions, headSize / 2]);
  const weights = new FrozenWeights(graph, () => 'float32');
  const parts: DecoderParts = { graph, configuration, weights, adapter: () => null, kept: (x) => x };
  const { hidden, present } = decoder(parts, {
    ...{ ids, positions, past, cos: table('cos'), sin: table('sin') },
    mask: attentionMask(tokens, ids, slidingWindow ?? null),
  });
  graph.output('logits', reshape(head(parts, hidden), ['batch', 'length', vocabularySize]));
  present.forEach(({ keys, values }, layer) => {
    graph.output(`present.${layer}.key`, keys);
    graph.output(`present.${layer}.value`, values);
  });
  return graph;
}
