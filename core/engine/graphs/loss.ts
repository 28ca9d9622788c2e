/** @file The loss of a batch, with or without its gradients. */

import {
  crossEntropy,
  gather,
  integerVocabularyLoss,
  mul,
  reduceSum,
  vocabularyLoss,
} from '../../graph/build.ts';
import { gradients } from '../../graph/gradient.ts';
import { Graph, type Value } from '../../graph/graph.ts';
import { decoder, head, type DecoderParts } from '../../model/architectures/decoder.ts';
import { headName } from '../../model/configuration.ts';
import { decoderInputs, decoderParts, type GraphPlan, type ModelGraph } from './parts.ts';
import { segmentsOf } from './recompute.ts';

/**
 * Loss of a batch. Inputs: those of {@link supervisedTokens} and `weights` float32 [rows, 1]: what each supervised
 * token's loss counts. Outputs: `loss` = Σ weights · nll, `nll` [rows, 1] and `gradient/NAME` of each named input.
 * @param differentiated names of the adapter's tensors, or of weights, whose gradients are wanted; default none
 */
export function lossGraph(plan: GraphPlan, differentiated: readonly string[] = []): ModelGraph {
  const graph = new Graph();
  const trainsHead = differentiated.includes(headName(plan.configuration));
  const { nll, parameters, ...rest } = supervisedTokens(graph, plan, {
    differentiable: differentiated.length === 0 ? 'nothing' : trainsHead ? 'head' : 'hidden',
  });
  const shares = graph.input('weights', 'float32', ['rows', 1]);
  const loss = graph.scope('loss', () => reduceSum(mul(nll, shares), [0, 1]));
  graph.output('loss', loss);
  graph.output('nll', nll);
  if (differentiated.length > 0) {
    outputGradients(graph, plan, { loss, parameters: inputsNamed(graph, differentiated) });
  }
  return { graph, ...rest, parameters: [...parameters.keys()] };
}

/**
 * The negative log-likelihood of each supervised token, [rows, 1]. Inputs: `ids` int32 [batch, length], `positions`
 * int64 [batch, length], `mask` float32 [batch, 1, 1, length, length], `cos` and `sin`, `rows` int32 [rows]: flat
 * positions whose next token is supervised, `labels` int32 [rows, 1]: those tokens.
 * @param options.differentiable what gradients will be asked for: of nothing, through the hidden states (the
 * default), or of the head's weight too, for which the scores of all rows must lie in memory together
 */
export function supervisedTokens(
  graph: Graph,
  plan: GraphPlan,
  { differentiable = 'hidden' }: { differentiable?: 'nothing' | 'hidden' | 'head' } = {},
): { nll: Value; parameters: ReadonlyMap<string, Value>; weights: ModelGraph['weights'] } {
  const { parts, parameters } = decoderParts(graph, plan);
  const { hidden } = decoder(parts, decoderInputs(graph, plan));
  const nll = negativeLogLikelihoods(parts, hidden, { ...plan, differentiable });
  return { nll, parameters, weights: parts.weights.inputs };
}

/** Elements of a packed head that are unpacked at once: 64 MiB of float32. */
const UNPACKED = 2 ** 24;

/** The part of {@link supervisedTokens} after the decoder, with the inputs `rows` and `labels`. */
export function negativeLogLikelihoods(
  parts: DecoderParts,
  hidden: Value,
  {
    scoreRows,
    headCodes,
    recompute,
    differentiable,
  }: Pick<GraphPlan, 'scoreRows' | 'headCodes' | 'recompute'> & {
    readonly differentiable: 'nothing' | 'hidden' | 'head';
  },
): Value {
  const { graph, configuration, weights } = parts;
  const rows = graph.input('rows', 'int32', ['rows']);
  const labels = graph.input('labels', 'int32', ['rows', 1]);
  const chosen = gather(hidden, rows);
  return graph.scope('loss', () => {
    if (scoreRows === undefined || differentiable === 'head')
      return crossEntropy(head(parts, chosen), labels);
    const { vocabularySize, hiddenSize } = configuration;
    const name = headName(configuration);
    const shape = [vocabularySize, hiddenSize] as const;
    const common = { labels, differentiable: differentiable === 'hidden' };
    if (headCodes) {
      const coded = weights.coded(chosen, name, { shape, packing: headCodes });
      // Beside the scores lie their codes, and whole-number products stay fast with fewer rows.
      const share = recompute === 'layers' ? 4 : 2;
      return integerVocabularyLoss(chosen, { ...common, coded, rows: Math.ceil(scoreRows / share) });
    }
    const matrix = weights.matrix(name, shape);
    return vocabularyLoss(chosen, {
      ...common,
      matrix,
      // Each part of the rows unpacks the weight anew: scores may take an eighth of what it takes unpacked.
      rows: matrix.scale ? Math.max(scoreRows, Math.floor(hiddenSize / 8)) : scoreRows,
      classes: Math.max(1, Math.floor(UNPACKED / hiddenSize)),
    });
  });
}

/** Outputs `gradient/NAME` of each parameter. */
export function outputGradients(
  graph: Graph,
  { recompute = 'none' }: GraphPlan,
  { loss, parameters }: { loss: Value; parameters: ReadonlyMap<string, Value> },
): void {
  const found = gradients(loss, [...parameters.values()], segmentsOf(recompute));
  [...parameters.keys()].forEach((name, index) => graph.output(`gradient/${name}`, found[index]));
}

/** Inputs of the graph by their names. */
export function inputsNamed(graph: Graph, names: readonly string[]): Map<string, Value> {
  const wanted = new Set(names);
  const found = graph.inputs.filter(({ name, dataType }) => wanted.has(name) && dataType === 'float32');
  if (found.length < wanted.size) throw new Error(`of ${names.join(', ')} some are no float32 inputs`);
  return new Map(found.map((value) => [value.name, value]));
}
