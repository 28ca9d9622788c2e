/** @file Gradients of each example's own loss, from one forward and one backward pass over a batch of them. */

import {
  add,
  div,
  gemm,
  less,
  matMul,
  mul,
  reduceSum,
  reshape,
  scalarLike,
  scale,
  sqrt,
  swapLastAxes,
  where,
} from '../../graph/build.ts';
import { product } from '../../graph/dimension.ts';
import { gradients } from '../../graph/gradient.ts';
import { Graph, type Value } from '../../graph/graph.ts';
import type { BranchValues } from '../../model/architectures/linear.ts';
import { loraNames } from '../../model/lora.ts';
import { supervisedTokens } from './loss.ts';
import type { GraphPlan, ModelGraph } from './parts.ts';

/** Outputs the gradients of every example, or the sum of them after each was scaled down to a norm. */
export type PerExampleResult = 'each' | 'clipped';

/**
 * For a batch with one example a row. Rows share the forward and the backward pass; only the products that end in a
 * gradient of A or B are taken row by row, where a plain step takes them over all rows at once:
 *
 *   dAᵢ = dlowᵢᵀ xᵢ,   dBᵢᵀ = s · lowᵢᵀ dyᵢ     for the tokens of row i.
 *
 * Inputs: as of the loss. Outputs: `loss`, `norms` float32 [batch, 1]: ‖gᵢ‖₂ over all differentiated tensors, and
 * - `each`: `gradient/NAME` [batch, …] of each of them;
 * - `clipped` (Abadi et al., 2016): `gradient/NAME` = Σᵢ gᵢ · min(1, C / ‖gᵢ‖) with C the input `bound` [1, 1].
 *
 * @param differentiated names of tensors of the adapter
 */
export function perExampleGraph(
  plan: GraphPlan,
  { differentiated, result }: { differentiated: readonly string[]; result: PerExampleResult },
): ModelGraph {
  const graph = new Graph();
  const branches: Branch[] = [];
  const { nll, parameters, ...rest } = supervisedTokens(graph, {
    ...plan,
    branchBuilt: (module, values) => void branches.push({ module, ...values }),
  });
  const shares = graph.input('weights', 'float32', ['rows', 1]);
  const loss = graph.scope('loss', () => reduceSum(mul(nll, shares), [0, 1]));
  graph.output('loss', loss);
  const found = rowGradients(loss, branches, new Set(differentiated));
  const norms = graph.scope('norms', () => {
    const squares = [...found.values()].map((rows) => flattened(mul(rows, rows)));
    return sqrt(squares.map((rows) => reduceSum(rows, [1])).reduce(add));
  });
  graph.output('norms', norms);
  const factors = result === 'clipped' ? clippingFactors(norms) : null;
  for (const [name, rows] of found) {
    const gradient = graph.scope(`per_example/${name}`, () => {
      if (!factors) return name.includes('.lora_B.') ? swapLastAxes(rows) : rows;
      const [, ...shape] = rows.shape;
      const sum = reshape(gemm(factors, flattened(rows), { transA: true }), shape);
      return name.includes('.lora_B.') ? swapLastAxes(sum) : sum;
    });
    graph.output(`gradient/${name}`, gradient);
  }
  return { graph, ...rest, parameters: [...parameters.keys()] };
}

type Branch = BranchValues & { readonly module: string };

/** Per row of the batch the gradients of A [batch, rank, in] and of Bᵀ [batch, rank, out]. */
function rowGradients(
  loss: Value,
  branches: readonly Branch[],
  differentiated: ReadonlySet<string>,
): Map<string, Value> {
  const wanted = branches.flatMap((branch) => {
    const names = loraNames(branch.module);
    return [
      { name: names.A, value: branch.low, other: branch.input, factor: 1 },
      { name: names.B, value: branch.output, other: branch.low, factor: branch.scale },
    ].filter(({ name }) => differentiated.has(name));
  });
  if (wanted.length < differentiated.size) throw new Error('some of the names are no tensors of the adapter');
  const found = gradients(
    loss,
    wanted.map(({ value }) => value),
  );
  return new Map(
    wanted.map(({ name, other, factor }, index) => {
      const dy = found[index];
      const rows = loss.graph.scope(`per_example/${name}`, () =>
        name.includes('.lora_B.')
          ? scale(matMul(swapLastAxes(byRow(other)), byRow(dy)), factor)
          : matMul(swapLastAxes(byRow(dy)), byRow(other)),
      );
      return [name, rows];
    }),
  );
}

/** [batch · length, size] → [batch, length, size] */
function byRow(x: Value): Value {
  return reshape(x, ['batch', 'length', x.shape[1]]);
}

/** [batch, a, b] → [batch, a · b] */
function flattened(x: Value): Value {
  const [batch, ...rest] = x.shape;
  return reshape(x, [batch, product(rest)]);
}

/** min(1, C / ‖gᵢ‖), [batch, 1]. */
function clippingFactors(norms: Value): Value {
  const { graph } = norms;
  const bound = graph.input('bound', 'float32', [1, 1]);
  return graph.scope('clip', () => where(less(norms, bound), scalarLike(norms, 1), div(bound, norms)));
}
