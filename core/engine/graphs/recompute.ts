/** @file What a backward pass computes again rather than keeps from the forward pass. */

import type { Node } from '../../graph/graph.ts';
import type { Operator } from '../../graph/operators/attributes.ts';
import type { Segments } from '../../graph/recompute.ts';
import { RESIDUAL } from '../../model/architectures/decoder.ts';

/**
 * - `none`: every result is kept, if in float16, then so;
 * - `light`: in each layer norms, activations and scores are computed again, which costs one or two percent of a step
 *   (Korthikanti et al., 2022, who call it selective);
 * - `layers`: of each layer only its result is kept, at the price of a second forward pass (Chen et al., 2016).
 */
export const RECOMPUTES = ['none', 'light', 'layers'] as const;
export type Recompute = (typeof RECOMPUTES)[number];

/** The segments of a decoder's graph, a layer each. */
export function segmentsOf(recompute: Recompute): Segments {
  const isKept = {
    none: ({ operator }: Node) => operator !== 'FromHalf',
    light: isHeavy,
    layers: isResult,
  }[recompute];
  return (node) => {
    const layer = /^\/layers\.\d+/.exec(node.name)?.[0] ?? null;
    return layer === null || isKept(node, layer) ? null : layer;
  };
}

/** Whether a node's result is what its layer hands on. */
function isResult({ name }: Node, layer: string): boolean {
  return name.startsWith(`${layer}/mlp/${RESIDUAL}/`);
}

/** Operators between a linear of the attention and the mixing of values: what they give takes no more than what they take. */
const PREPARING: ReadonlySet<Operator> = new Set(['RotaryEmbedding', 'Transpose', 'Mul']);

/**
 * Whether a node is part of a linear, what its branch drops apart, adds to the stream of hidden states, mixes values
 * in blocks, which keeps nothing of its scores, or prepares for that: what is kept then stands for a linear's result.
 */
function isHeavy({ name, operator }: Node): boolean {
  if (operator === 'CausalAttention' || operator === 'ToHalf') return true;
  if (PREPARING.has(operator) && /^\/layers\.\d+\/attention\/[^/]*$/.test(name)) return true;
  const isOfLinear = name.includes('_proj/') && !name.includes('_proj/dropout/');
  return isOfLinear || name.includes(`/${RESIDUAL}/`);
}
