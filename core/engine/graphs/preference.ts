/** @file The loss of pairs of answers of which one is preferred (DPO and IPO), with its gradients. */

import { add, gemm, mul, neg, reduceSum, scalarLike, scale, softplus, sub } from '../../graph/build.ts';
import { Graph, type Value } from '../../graph/graph.ts';
import { inputsNamed, outputGradients, supervisedTokens } from './loss.ts';
import type { GraphPlan, ModelGraph } from './parts.ts';

/** The loss of a pair, a function of its margin. */
export interface PreferenceLoss {
  /** How much a nat of log-probability against the reference counts. */
  readonly beta: number;
  /** Share of the pairs whose labels are held to be the wrong way round; 0 with `ipo`. */
  readonly labelSmoothing: number;
  readonly loss: 'sigmoid' | 'ipo';
}

/**
 * Loss of pairs. Inputs: those of {@link supervisedTokens} and
 * - `signs` float32 [pairs, rows]: −1 where a row belongs to the pair's chosen answer, 1 to its rejected one, else 0,
 *   so that signs · nll is log π(chosen) − log π(rejected), log-probabilities being sums over an answer's tokens;
 * - `reference` float32 [pairs, 1]: the same difference under the reference;
 * - `weights` float32 [pairs, 1]: what each pair's loss counts.
 *
 * With the margin h = β · (signs · nll − reference) the loss of a pair is
 * - `sigmoid`: −(1 − ε) · log σ(h) − ε · log σ(−h) = softplus(−h) + ε · h (Rafailov et al., 2023; ε is the label
 *   smoothing of Mitchell's conservative DPO);
 * - `ipo`: (h/β − 1/(2β))² (Azar et al., 2023, equation 17: sums too, where TRL divides them by the tokens' number).
 *
 * Outputs: `loss` = Σ weights · loss of the pair, `nll` [rows, 1] and `gradient/NAME` of each named input.
 * @param differentiated names of the adapter's tensors whose gradients are wanted; default all
 */
export function preferenceGraph(
  plan: GraphPlan,
  objective: PreferenceLoss,
  differentiated?: readonly string[],
): ModelGraph {
  const graph = new Graph();
  const { nll, parameters, ...rest } = supervisedTokens(graph, plan);
  const signs = graph.input('signs', 'float32', ['pairs', 'rows']);
  const reference = graph.input('reference', 'float32', ['pairs', 1]);
  const shares = graph.input('weights', 'float32', ['pairs', 1]);
  const loss = graph.scope('preference', () => {
    const advantage = sub(gemm(signs, nll), reference);
    return reduceSum(mul(lossOf(advantage, objective), shares), [0, 1]);
  });
  graph.output('loss', loss);
  graph.output('nll', nll);
  const wanted = differentiated ? inputsNamed(graph, differentiated) : parameters;
  outputGradients(graph, plan, { loss, parameters: wanted });
  return { graph, ...rest, parameters: [...parameters.keys()] };
}

/** @param advantage h/β */
function lossOf(advantage: Value, { beta, labelSmoothing, loss }: PreferenceLoss): Value {
  if (loss === 'ipo') {
    const distance = sub(advantage, scalarLike(advantage, 1 / (2 * beta)));
    return mul(distance, distance);
  }
  const margin = scale(advantage, beta);
  const likely = softplus(neg(margin));
  return labelSmoothing === 0 ? likely : add(likely, scale(margin, labelSmoothing));
}
