/** @file What a backward pass computes again rather than keeps from the forward pass. */

import type { Node } from '../../graph/graph.ts';
import type { Segments } from '../../graph/recompute.ts';
import { RESIDUAL } from '../../model/architectures/decoder.ts';

/**
 * - `none`: every result is kept;
 * - `light`: in each layer all but its linears is computed again, which costs a few percent of a step (Korthikanti et
 *   al., 2022, who call it selective);
 * - `layers`: of each layer only its result is kept, at the price of a second forward pass (Chen et al., 2016).
 */
export const RECOMPUTES = ['none', 'light', 'layers'] as const;
export type Recompute = (typeof RECOMPUTES)[number];

/** The segments of a decoder's graph, a layer each. */
export function segmentsOf(recompute: Recompute): Segments {
  if (recompute === 'none') return () => null;
  return (node) => {
    const layer = /^\/layers\.\d+/.exec(node.name)?.[0] ?? null;
    if (layer === null || (recompute === 'light' ? isHeavy(node) : isResult(node, layer))) return null;
    return layer;
  };
}

/** Whether a node's result is what its layer hands on. */
function isResult({ name }: Node, layer: string): boolean {
  return name.startsWith(`${layer}/mlp/${RESIDUAL}/`);
}

/**
 * Whether a node is part of a linear, what its branch drops apart, adds to the stream of hidden states, or mixes values
 * in blocks, which keeps nothing of its scores.
 */
function isHeavy({ name, operator }: Node): boolean {
  if (operator === 'CausalAttention') return true;
  const isOfLinear = name.includes('_proj/') && !name.includes('_proj/dropout/');
  return isOfLinear || name.includes(`/${RESIDUAL}/`);
}
