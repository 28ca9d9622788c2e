/** @file A linear of a decoder's block: the frozen matrix, its bias, and the low-rank branch of an adapter. */

import { add, gemm } from '../../graph/build.ts';
import type { Graph, Value } from '../../graph/graph.ts';
import type { ModelConfiguration } from '../configuration.ts';
import type { FrozenWeights } from '../frozen-weights.ts';
import { linears } from '../lora.ts';

/** The low-rank branch of a module: y + scale · x Aᵀ Bᵀ. */
export interface LowRankBranch {
  /** [rank, in] */
  readonly A: Value;
  /** [out, rank] */
  readonly B: Value;
  readonly scale: number;
  /** What the branch sees of its module's input [tokens, in], where that is not all of it (dropout). */
  readonly seen?: (x: Value) => Value;
}

/** The values of a branch whose products with their gradients are the gradients of A and B. */
export interface BranchValues {
  /** What A is multiplied with, [tokens, in]. */
  readonly input: Value;
  /** input · Aᵀ, [tokens, rank]. */
  readonly low: Value;
  /** The result of the whole linear, [tokens, out]. */
  readonly output: Value;
  /** Of the branch: output = … + scale · low · Bᵀ. */
  readonly scale: number;
}

/** What a linear needs of its graph. */
export interface LinearParts {
  readonly graph: Graph;
  readonly configuration: ModelConfiguration;
  readonly weights: FrozenWeights;
  /** The branch of a module, or null where it has none. */
  adapter(module: string): LowRankBranch | null;
  /** Told of every branch that was built. */
  readonly branchBuilt?: (module: string, values: BranchValues) => void;
}

/** Linears of one block by their short names: x Wᵀ (+ bias) (+ s · x Aᵀ Bᵀ). */
export function linearOf(parts: LinearParts, block: string): (name: string, x: Value) => Value {
  const shapes = new Map(linears(parts.configuration).map(({ module, shape }) => [module, shape]));
  return (name, x) =>
    parts.graph.scope(name, () => {
      const module = `${block}.${name}`;
      const shape = shapes.get(module);
      if (!shape) throw new Error(`the architecture has no linear ${module}`);
      let y = parts.weights.product(x, `${module}.weight`, shape);
      if (parts.configuration.attentionBias && /[qkv]_proj$/.test(name)) {
        y = add(y, parts.weights.tensor(`${module}.bias`, [shape[0]]));
      }
      const branch = parts.adapter(module);
      if (!branch) return y;
      const input = branch.seen?.(x) ?? x;
      const low = gemm(input, branch.A, { transB: true });
      const output = gemm(low, branch.B, { transB: true, alpha: branch.scale, plus: y });
      parts.branchBuilt?.(module, { input, low, output, scale: branch.scale });
      return output;
    });
}
